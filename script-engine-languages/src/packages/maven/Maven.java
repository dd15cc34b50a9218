// Fetches from a Maven repository: artifacts by their digests, what is newest, and the resolver of Maven itself, which
// decides a lock (Resolve.java). Archives the classes of artifacts that are in their place. Nothing of a package is run: jars are written as they are, and models are only read.
// Arguments: what to do, the job's folder, a folder to write to. Prints one line of JSON.

import java.io.BufferedWriter;
import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.net.ProxySelector;
import java.net.URI;
import java.net.URLClassLoader;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import java.util.zip.ZipFile;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import javax.tools.ToolProvider;

public class Maven {
    static final int TRIES = 3;
    static final int AT_ONCE = 8;
    /** Classes in one archive, which takes some eleven kilobytes for each. */
    static final int MOST_CLASSES = 10_000;
    static final long LARGEST = 512L << 20;

    /** What is said to whoever asked for the packages. */
    static class Told extends RuntimeException {
        final String kind;

        Told(String kind, String message) {
            super(message);
            this.kind = kind;
        }
    }

    public static void main(String[] args) throws Exception {
        Path scripts = Path.of(args[1]), work = Path.of(args[2]);
        if (args[0].equals("share")) {
            share(scripts, work);
            System.out.println("{}");
            return;
        }
        String line;
        try {
            Properties settings = new Properties();
            try (InputStream in = Files.newInputStream(scripts.resolve("settings.properties"))) {
                settings.load(in);
            }
            Repository repository = new Repository(settings, scripts);
            line = switch (args[0]) {
                case "lock" -> lock(repository, scripts, work);
                case "install" -> install(repository, scripts, work);
                default -> newest(repository, args[3]);
            };
        } catch (Told told) {
            line = "{\"" + told.kind + "\":" + quoted(told.getMessage()) + "}";
        }
        System.out.println(line);
    }

    /** Loads the resolver and lets it decide. */
    static String lock(Repository repository, Path scripts, Path work) throws Exception {
        Path jars = Files.createDirectories(work.resolve("resolver"));
        Path classes = Files.createDirectories(work.resolve("classes"));
        List<Wanted> wanted = Wanted.read(scripts.resolve("resolver"), jars);
        fetchAll(repository, wanted);
        StringBuilder path = new StringBuilder();
        List<java.net.URL> urls = new ArrayList<>();
        for (Wanted it : wanted) {
            path.append(path.isEmpty() ? "" : ":").append(it.to);
            urls.add(it.to.toUri().toURL());
        }
        urls.add(classes.toUri().toURL());
        int failed = ToolProvider.getSystemJavaCompiler().run(null, System.err, System.err, "-proc:none", "-nowarn",
                "-cp", path.toString(), "-d", classes.toString(), scripts.resolve("Resolve.java").toString());
        if (failed != 0) {
            throw new IllegalStateException("the resolver's driver does not compile");
        }
        try (URLClassLoader loader = new URLClassLoader(urls.toArray(java.net.URL[]::new), Maven.class.getClassLoader())) {
            Thread.currentThread().setContextClassLoader(loader);
            @SuppressWarnings("unchecked")
            Function<Object[], String> resolve = (Function<Object[], String>) loader.loadClass("Resolve")
                    .getDeclaredConstructor().newInstance();
            Function<String, Object[]> get = repository::get;
            return resolve.apply(new Object[] {get, repository.base, scripts, work});
        }
    }

    /** Fetches what the lock names and packs it. */
    static String install(Repository repository, Path scripts, Path work) throws Exception {
        Path lib = Files.createDirectories(work.resolve("lib"));
        List<Wanted> wanted = Wanted.read(scripts.resolve("packages"), lib);
        fetchAll(repository, wanted);
        try (Tar tar = new Tar(work.resolve("layer.tar"))) {
            tar.add("classpath", Files.readAllBytes(scripts.resolve("classpath")));
            tar.folder("lib/");
            for (Wanted it : wanted.stream().sorted((a, b) -> a.to.compareTo(b.to)).toList()) {
                tar.add("lib/" + it.to.getFileName(), Files.readAllBytes(it.to));
            }
        }
        return "{}";
    }

    /**
     * Makes an archive of the classes of the packages in `layer`, which a virtual machine maps instead of reading, checking
     * and linking them (JEP 310, JEP 350), and a list of the folders that they are in. None of them is started for that.
     * Without the archive, which not every virtual machine can make of every class, scripts start slower and are otherwise
     * the same.
     */
    static void share(Path layer, Path work) throws Exception {
        boolean sound = true;
        int count = 0;
        String java = System.getProperty("java.home");
        StringBuilder path = new StringBuilder();
        TreeSet<String> folders = new TreeSet<>();
        Path list = work.resolve("classes");
        try (BufferedWriter classes = Files.newBufferedWriter(list)) {
            classes.write(Files.readString(Path.of(java, "lib", "classlist")));
            for (String name : Files.readAllLines(layer.resolve("classpath"))) {
                Path jar = layer.resolve("lib").resolve(name);
                path.append(path.isEmpty() ? "" : ":").append(jar);
                try (ZipFile zip = new ZipFile(jar.toFile())) {
                    for (ZipEntry entry : Collections.list(zip.entries())) {
                        String file = entry.getName();
                        if (file.endsWith(".class") && !file.startsWith("META-INF/") && !file.contains("-info.")) {
                            classes.write(file.substring(0, file.length() - ".class".length()) + "\n");
                            folders.add(file.substring(0, file.lastIndexOf('/') + 1));
                            count++;
                        }
                    }
                } catch (ZipException unsound) {
                    sound = false;
                }
            }
        }
        Path archive = work.resolve("classes.jsa");
        boolean done = false;
        if (sound && count <= MOST_CLASSES) {
            Process made = new ProcessBuilder(java + "/bin/java", "-Xshare:dump", "-XX:+UseSerialGC", "-Xmx512m",
                    "-XX:SharedClassListFile=" + list, "-XX:SharedArchiveFile=" + archive, "-cp", path.toString())
                    .redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
            done = made.waitFor() == 0 && Files.exists(archive);
        }
        try (Tar tar = new Tar(work.resolve("layer.tar"))) {
            tar.add("folders", (String.join("\n", folders) + "\n").getBytes(StandardCharsets.UTF_8));
            if (done) {
                tar.add("classes.jsa", Files.readAllBytes(archive));
            }
        }
    }

    /** The newest release of `group:artifact`. */
    static String newest(Repository repository, String name) {
        String[] parts = name.split(":");
        Object[] got = repository.get(parts[0].replace('.', '/') + "/" + parts[1] + "/maven-metadata.xml");
        if (got == null) {
            return "{\"newest\":null}";
        }
        String text = new String((byte[]) got[0], StandardCharsets.UTF_8);
        for (String tag : new String[] {"release", "latest", "version"}) {
            Matcher found = Pattern.compile("<" + tag + ">\\s*([^<\\s]+)\\s*</" + tag + ">").matcher(text);
            if (found.find()) {
                return "{\"newest\":" + quoted(found.group(1)) + "}";
            }
        }
        return "{\"newest\":null}";
    }

    /** A file to fetch. */
    record Wanted(String name, String path, String sha256, Path to) {
        /** Reads lines of `sha256 path name@version file`. */
        static List<Wanted> read(Path list, Path folder) throws IOException {
            List<Wanted> wanted = new ArrayList<>();
            for (String line : Files.readAllLines(list)) {
                String[] words = line.split(" ");
                wanted.add(new Wanted(words[2].replace('@', ' '), words[1], words[0], folder.resolve(words[3])));
            }
            return wanted;
        }
    }

    static void fetchAll(Repository repository, List<Wanted> wanted) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(AT_ONCE);
        try {
            List<Callable<Void>> calls = new ArrayList<>();
            for (Wanted it : wanted) {
                calls.add(() -> {
                    fetch(repository, it);
                    return null;
                });
            }
            for (Future<Void> done : threads.invokeAll(calls)) {
                done.get();
            }
        } catch (ExecutionException failed) {
            if (failed.getCause() instanceof RuntimeException cause) {
                throw cause;
            }
            throw failed;
        } finally {
            threads.shutdownNow();
        }
    }

    static void fetch(Repository repository, Wanted wanted) throws Exception {
        Object[] got = repository.get(wanted.path);
        if (got == null) {
            throw new Told("problem", wanted.name + ": it is no longer in the repository");
        }
        String digest = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest((byte[]) got[0]));
        if (!digest.equals(wanted.sha256)) {
            throw new Told("problem", wanted.name + ": checksum mismatch: the repository serves something else than before");
        }
        Files.write(wanted.to, (byte[]) got[0]);
    }

    /** One repository over HTTP. */
    static class Repository {
        final String base;
        private final HttpClient client;
        private final String authorization;

        Repository(Properties settings, Path scripts) throws Exception {
            String url = settings.getProperty("url", "");
            base = (url.isEmpty() ? central() : url).replaceAll("/+$", "");
            String user = settings.getProperty("user");
            String both = user + ":" + settings.getProperty("password");
            authorization = user == null ? null
                    : "Basic " + Base64.getEncoder().encodeToString(both.getBytes(StandardCharsets.UTF_8));
            HttpClient.Builder builder = HttpClient.newBuilder().followRedirects(HttpClient.Redirect.NORMAL)
                    .connectTimeout(Duration.ofSeconds(20));
            String proxy = settings.getProperty("proxy");
            if (proxy != null) {
                URI it = URI.create(proxy);
                builder.proxy(ProxySelector.of(new InetSocketAddress(it.getHost(), it.getPort() < 0 ? 80 : it.getPort())));
            }
            Path more = scripts.resolve("certificates.pem");
            if (Files.exists(more)) {
                builder.sslContext(trusting(more));
            }
            client = builder.build();
        }

        /** Content and time of change of a file, or null if there is none. */
        Object[] get(String path) {
            IOException last = null;
            for (int number = 0; number < TRIES; number++) {
                try {
                    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(base + "/" + path))
                            .timeout(Duration.ofSeconds(300));
                    if (authorization != null) {
                        request.header("Authorization", authorization);
                    }
                    HttpResponse<InputStream> response =
                            client.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
                    try (InputStream body = response.body()) {
                        int status = response.statusCode();
                        if (status == 200) {
                            byte[] bytes = body.readNBytes((int) LARGEST + 1);
                            if (bytes.length > LARGEST) {
                                throw new Told("problem", path + ": it is larger than " + (LARGEST >> 20) + " MiB");
                            }
                            return new Object[] {bytes, response.headers().firstValue("last-modified").orElse(null)};
                        }
                        if (status == 401 || status == 407) {
                            throw new Told("unreachable", "it asks for another user or password");
                        }
                        if (status < 500 && status != 408 && status != 429) {
                            return null;
                        }
                        last = new IOException("it answers " + status);
                    }
                } catch (IOException failed) {
                    last = failed;
                } catch (InterruptedException stopped) {
                    throw new IllegalStateException(stopped);
                }
                try {
                    Thread.sleep(200L << (2 * number));
                } catch (InterruptedException stopped) {
                    throw new IllegalStateException(stopped);
                }
            }
            throw new Told("unreachable", why(last));
        }
    }

    static String why(Throwable failed) {
        for (Throwable it = failed; it != null; it = it.getCause()) {
            if (it instanceof java.nio.channels.UnresolvedAddressException || it instanceof java.net.UnknownHostException) {
                return "no such host";
            }
            if (it instanceof java.net.http.HttpTimeoutException) {
                return "it does not answer in time";
            }
            if (it instanceof java.security.cert.CertificateException || it instanceof javax.net.ssl.SSLException) {
                return "its certificate is not trusted: " + it.getMessage();
            }
        }
        if (failed instanceof java.net.ConnectException && failed.getMessage() == null) {
            return "connection refused";
        }
        return String.valueOf(failed.getMessage());
    }

    /** The repository that an installed Maven has in its built-in model. */
    static String central() throws IOException {
        for (String place : new String[] {"/usr/share/maven", "/usr/local/maven", "/opt/maven", "/usr/share/java/maven-3"}) {
            Path lib = Path.of(place, "lib");
            if (!Files.isDirectory(lib)) {
                continue;
            }
            List<Path> jars;
            try (var all = Files.list(lib)) {
                jars = all.filter(it -> it.getFileName().toString().startsWith("maven-model-builder")).sorted().toList();
            }
            for (Path jar : jars) {
                try (ZipFile zip = new ZipFile(jar.toFile())) {
                    var entry = zip.getEntry("org/apache/maven/model/pom-4.0.0.xml");
                    if (entry == null) {
                        continue;
                    }
                    String text = new String(zip.getInputStream(entry).readAllBytes(), StandardCharsets.UTF_8);
                    Matcher url = Pattern.compile("<repository>.*?<url>\\s*([^<\\s]+)\\s*</url>", Pattern.DOTALL).matcher(text);
                    if (url.find()) {
                        return url.group(1);
                    }
                }
            }
        }
        throw new Told("setting", "names no repository, and the runtime has no Maven that knows one; set its url");
    }

    /** Trusts what this Java trusts, and these certificates. */
    static SSLContext trusting(Path pem) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        int number = 0;
        TrustManagerFactory usual = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        usual.init((KeyStore) null);
        for (var manager : usual.getTrustManagers()) {
            if (manager instanceof X509TrustManager trusted) {
                for (var certificate : trusted.getAcceptedIssuers()) {
                    store.setCertificateEntry("c" + number++, certificate);
                }
            }
        }
        try (InputStream in = new ByteArrayInputStream(Files.readAllBytes(pem))) {
            for (var certificate : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                store.setCertificateEntry("c" + number++, certificate);
            }
        }
        TrustManagerFactory both = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        both.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, both.getTrustManagers(), null);
        return context;
    }

    static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }

    /** Writes an archive without owners and times. */
    static class Tar implements AutoCloseable {
        private final OutputStream out;

        Tar(Path path) throws IOException {
            out = new java.io.BufferedOutputStream(Files.newOutputStream(path), 1 << 20);
        }

        void folder(String name) throws IOException {
            header(name, 0, '5', 0755);
        }

        void add(String name, byte[] content) throws IOException {
            header(name, content.length, '0', 0644);
            out.write(content);
            out.write(new byte[(512 - content.length % 512) % 512]);
        }

        private void header(String name, long size, char kind, int mode) throws IOException {
            byte[] header = new byte[512];
            put(header, 0, name);
            put(header, 100, String.format("%07o", mode));
            put(header, 108, "0000000");
            put(header, 116, "0000000");
            put(header, 124, String.format("%011o", size));
            put(header, 136, "00000000000");
            put(header, 148, "        ");
            header[156] = (byte) kind;
            put(header, 257, "ustar\00000");
            int sum = 0;
            for (byte it : header) {
                sum += it & 0xff;
            }
            put(header, 148, String.format("%06o\0 ", sum));
            out.write(header);
        }

        private static void put(byte[] header, int at, String text) {
            byte[] bytes = text.getBytes(StandardCharsets.US_ASCII);
            System.arraycopy(bytes, 0, header, at, bytes.length);
        }

        @Override
        public void close() throws IOException {
            out.write(new byte[1024]);
            out.close();
        }
    }
}
