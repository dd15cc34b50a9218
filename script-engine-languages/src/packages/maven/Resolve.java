// Decides the closure of a script's packages by Maven's own resolver. Loaded by Maven.java, which brings the resolver and
// gets the files.

import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import org.apache.maven.repository.internal.MavenRepositorySystemUtils;
import org.eclipse.aether.DefaultRepositorySystemSession;
import org.eclipse.aether.RepositorySystem;
import org.eclipse.aether.RepositorySystemSession;
import org.eclipse.aether.artifact.Artifact;
import org.eclipse.aether.artifact.DefaultArtifact;
import org.eclipse.aether.collection.CollectRequest;
import org.eclipse.aether.collection.UnsolvableVersionConflictException;
import org.eclipse.aether.graph.Dependency;
import org.eclipse.aether.graph.DependencyNode;
import org.eclipse.aether.repository.LocalRepository;
import org.eclipse.aether.repository.RemoteRepository;
import org.eclipse.aether.repository.RepositoryPolicy;
import org.eclipse.aether.resolution.ArtifactDescriptorRequest;
import org.eclipse.aether.resolution.ArtifactRequest;
import org.eclipse.aether.resolution.ArtifactResult;
import org.eclipse.aether.spi.connector.transport.AbstractTransporter;
import org.eclipse.aether.spi.connector.transport.GetTask;
import org.eclipse.aether.spi.connector.transport.PeekTask;
import org.eclipse.aether.spi.connector.transport.PutTask;
import org.eclipse.aether.spi.connector.transport.Transporter;
import org.eclipse.aether.spi.connector.transport.TransporterFactory;
import org.eclipse.aether.transport.http.ChecksumExtractor;
import org.eclipse.aether.supplier.RepositorySystemSupplier;
import org.eclipse.aether.transfer.ArtifactNotFoundException;
import org.eclipse.aether.transfer.ArtifactTransferException;
import org.eclipse.aether.transfer.ChecksumFailureException;
import org.eclipse.aether.util.artifact.SubArtifact;
import org.eclipse.aether.util.graph.transformer.ConflictResolver;
import org.eclipse.aether.util.repository.SimpleArtifactDescriptorPolicy;

public class Resolve implements Function<Object[], String> {
    /** What the repository does not have. */
    static class Missing extends Exception {
        private static final long serialVersionUID = 1;
    }

    /** What is wrong with the packages asked for. */
    static class Problem extends RuntimeException {
        private static final long serialVersionUID = 1;

        Problem(String message) {
            super(message);
        }
    }

    private Function<String, Object[]> get;
    private final Map<String, String> changed = Collections.synchronizedMap(new HashMap<>());

    @Override
    @SuppressWarnings("unchecked")
    public String apply(Object[] given) {
        get = (Function<String, Object[]>) given[0];
        try {
            return resolve((String) given[1], (Path) given[2], (Path) given[3]);
        } catch (Problem problem) {
            return "{\"problem\":" + quoted(problem.getMessage()) + "}";
        } catch (RuntimeException failed) {
            throw failed;
        } catch (Exception failed) {
            throw new IllegalStateException(failed);
        }
    }

    private String resolve(String base, Path scripts, Path work) throws Exception {
        RepositorySystem system = new Resolver(this).get();
        RemoteRepository repository = new RemoteRepository.Builder("index", "default", base)
                .setPolicy(new RepositoryPolicy(true, RepositoryPolicy.UPDATE_POLICY_ALWAYS, RepositoryPolicy.CHECKSUM_POLICY_FAIL))
                .build();
        DefaultRepositorySystemSession session = MavenRepositorySystemUtils.newSession();
        Properties properties = new Properties();
        properties.putAll(System.getProperties());
        session.setSystemProperties(properties);
        session.setLocalRepositoryManager(system.newLocalRepositoryManager(session, new LocalRepository(work.resolve("local").toFile())));
        // Nothing but the repository that the operator chose, whatever a model says.
        session.setIgnoreArtifactDescriptorRepositories(true);
        session.setArtifactDescriptorPolicy(new SimpleArtifactDescriptorPolicy(true, false));
        session.setConfigProperty(ConflictResolver.CONFIG_PROP_VERBOSE, true);
        List<RemoteRepository> repositories = List.of(repository);

        CollectRequest request = new CollectRequest();
        request.setRepositories(repositories);
        // Lines of `scope group artifact classifier version`; models whose versions count come first.
        Map<String, String> managed = new HashMap<>();
        for (String line : Files.readAllLines(scripts.resolve("wanted"))) {
            String[] it = line.split(" ", -1);
            boolean imported = it[0].equals("import");
            String managedVersion = managed.getOrDefault(it[1] + ":" + it[2] + ":" + it[3], "RELEASE");
            String version = it[4].isEmpty() ? managedVersion : it[4];
            Artifact artifact = new DefaultArtifact(it[1], it[2], it[3], imported ? "pom" : "jar", version);
            if (!imported) {
                request.addDependency(new Dependency(artifact, it[0]));
                continue;
            }
            try {
                var described = system.readArtifactDescriptor(session, new ArtifactDescriptorRequest(artifact, repositories, null));
                for (Dependency dependency : described.getManagedDependencies()) {
                    Artifact its = dependency.getArtifact();
                    managed.putIfAbsent(its.getGroupId() + ":" + its.getArtifactId() + ":" + its.getClassifier(), its.getVersion());
                    request.addManagedDependency(dependency);
                }
            } catch (Exception failed) {
                throw told(failed, artifact);
            }
        }
        DependencyNode root;
        try {
            root = system.collectDependencies(session, request).getRoot();
        } catch (Exception failed) {
            throw told(failed, null);
        }
        Map<String, DependencyNode> nodes = new LinkedHashMap<>();
        Map<String, Set<String>> requires = new HashMap<>();
        walk(root, nodes, requires, 0);
        List<ArtifactRequest> wanted = new ArrayList<>();
        for (DependencyNode node : nodes.values()) {
            wanted.add(new ArtifactRequest(node.getArtifact(), repositories, null));
        }
        List<ArtifactResult> got;
        try {
            got = system.resolveArtifacts(session, wanted);
        } catch (Exception failed) {
            throw told(failed, null);
        }
        String before = Files.readString(scripts.resolve("before")).trim();
        StringBuilder out = new StringBuilder("{\"repository\":" + quoted(base) + ",\"packages\":[");
        List<String> young = new ArrayList<>();
        for (ArtifactResult result : got) {
            Artifact artifact = result.getArtifact();
            String name = name(artifact);
            String path = session.getLocalRepositoryManager().getPathForRemoteArtifact(artifact, repository, "");
            byte[] bytes = Files.readAllBytes(artifact.getFile().toPath());
            if (!before.isEmpty()) {
                String time = changed.get(path);
                Instant at = time == null ? null : ZonedDateTime.parse(time, DateTimeFormatter.RFC_1123_DATE_TIME).toInstant();
                if (at == null) {
                    young.add(name + " " + artifact.getVersion() + " has no time of publication");
                } else if (at.isAfter(Instant.parse(before))) {
                    young.add(name + " " + artifact.getVersion() + " was published on " + at);
                }
            }
            String scope = nodes.get(name).getDependency().getScope();
            out.append(out.charAt(out.length() - 1) == '[' ? "" : ",").append("[").append(quoted(name)).append(",")
                    .append(quoted(artifact.getVersion())).append(",").append(quoted(path)).append(",\"")
                    .append(HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes))).append("\",")
                    .append(quoted(scope)).append(",[");
            String comma = "";
            for (String required : requires.getOrDefault(name, Set.of())) {
                out.append(comma).append(quoted(required));
                comma = ",";
            }
            out.append("]]");
        }
        if (!young.isEmpty()) {
            throw new Problem(String.join(", ", young) + ", and only what was before " + before + " is accepted; take an older version");
        }
        return out.append("]}").toString();
    }

    /** Gathers the chosen nodes in the order of a class path, and who needs whom. */
    private static void walk(DependencyNode node, Map<String, DependencyNode> nodes, Map<String, Set<String>> requires, int depth) {
        if (depth > 1000) {
            throw new Problem("the packages need each other more than 1000 deep");
        }
        String from = node.getArtifact() == null ? null : name(node.getArtifact());
        for (DependencyNode child : node.getChildren()) {
            DependencyNode winner = (DependencyNode) child.getData().get(ConflictResolver.NODE_DATA_WINNER);
            String name = name((winner == null ? child : winner).getArtifact());
            if (from != null && !from.equals(name)) {
                requires.computeIfAbsent(from, it -> new TreeSet<>()).add(name);
            }
            if (winner == null) {
                nodes.putIfAbsent(name, child);
                walk(child, nodes, requires, depth + 1);
            }
        }
    }

    /** As the declarations name packages: `group:artifact`, and the classifier if it has one. */
    private static String name(Artifact artifact) {
        String classifier = artifact.getClassifier();
        return artifact.getGroupId() + ":" + artifact.getArtifactId() + (classifier.isEmpty() ? "" : ":" + classifier);
    }

    /** The one line for what the resolver throws. */
    private RuntimeException told(Exception failed, Artifact wanted) {
        Artifact about = wanted;
        for (Throwable it = failed; it != null; it = it.getCause()) {
            if (it instanceof ArtifactTransferException transfer) {
                about = transfer.getArtifact();
            }
            if (it.getClass().getName().equals("Maven$Told")) {
                return (RuntimeException) it;
            }
            if (it instanceof ArtifactNotFoundException missing) {
                return new Problem(missing(missing.getArtifact()));
            }
            if (it instanceof ChecksumFailureException) {
                String name = about == null ? "" : name(about) + " " + about.getVersion() + ": ";
                return new Problem(name + "checksum mismatch: the repository serves something else than it says");
            }
            if (it instanceof org.eclipse.aether.resolution.VersionRangeResolutionException range) {
                Artifact artifact = range.getResult().getRequest().getArtifact();
                return new Problem(missing(artifact));
            }
            if (it instanceof UnsolvableVersionConflictException) {
                return new Problem(it.getMessage());
            }
        }
        for (Throwable it = failed; it != null; it = it.getCause()) {
            if (it instanceof org.eclipse.aether.resolution.ArtifactDescriptorException || it instanceof org.eclipse.aether.resolution.VersionResolutionException) {
                Artifact artifact = it instanceof org.eclipse.aether.resolution.ArtifactDescriptorException described
                        ? described.getResult().getRequest().getArtifact()
                        : ((org.eclipse.aether.resolution.VersionResolutionException) it).getResult().getRequest().getArtifact();
                Throwable last = it;
                while (last.getCause() != null) {
                    last = last.getCause();
                }
                if (last instanceof Missing || last instanceof org.eclipse.aether.transfer.MetadataNotFoundException || "RELEASE".equals(artifact.getVersion())) {
                    return new Problem(missing(artifact));
                }
                return new Problem(name(artifact) + " " + artifact.getVersion() + ": its model can't be read: " + last.getMessage());
            }
        }
        Throwable last = failed;
        while (last.getCause() != null) {
            last = last.getCause();
        }
        return new Problem((wanted == null ? "" : name(wanted) + ": ") + last.getMessage());
    }

    private String missing(Artifact artifact) {
        Object[] listed = get.apply(artifact.getGroupId().replace('.', '/') + "/" + artifact.getArtifactId() + "/maven-metadata.xml");
        if (listed == null) {
            return name(artifact) + ": no such artifact in the repository";
        }
        String text = new String((byte[]) listed[0], java.nio.charset.StandardCharsets.UTF_8);
        int at = text.indexOf("<release>");
        int end = text.indexOf("</release>");
        String newest = at >= 0 && end > at ? "; the newest is " + text.substring(at + 9, end).trim() : "";
        return name(artifact) + " " + artifact.getVersion() + ": no such version in the repository" + newest;
    }

    private static String quoted(String text) {
        StringBuilder out = new StringBuilder("\"");
        for (char c : String.valueOf(text).toCharArray()) {
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

    /** The resolver with our own way to the repository. */
    static class Resolver extends RepositorySystemSupplier {
        private final Resolve owner;

        Resolver(Resolve owner) {
            this.owner = owner;
        }

        @Override
        protected Map<String, TransporterFactory> getTransporterFactories(Map<String, ChecksumExtractor> extractors) {
            return Map.of("own", new TransporterFactory() {
                @Override
                public Transporter newInstance(RepositorySystemSession session, RemoteRepository repository) {
                    return owner.new Way();
                }

                @Override
                public float getPriority() {
                    return 1;
                }
            });
        }

        @Override
        protected Map<String, ChecksumExtractor> getChecksumExtractors() {
            return Map.of();
        }
    }

    class Way extends AbstractTransporter {
        @Override
        public int classify(Throwable error) {
            return error instanceof Missing ? ERROR_NOT_FOUND : ERROR_OTHER;
        }

        @Override
        protected void implPeek(PeekTask task) throws Exception {
            fetched(task.getLocation().toString());
        }

        @Override
        protected void implGet(GetTask task) throws Exception {
            byte[] bytes = fetched(task.getLocation().toString());
            utilGet(task, new java.io.ByteArrayInputStream(bytes), true, bytes.length, false);
        }

        @Override
        protected void implPut(PutTask task) {
            throw new UnsupportedOperationException("nothing is written to a repository");
        }

        @Override
        protected void implClose() {}

        private byte[] fetched(String path) throws Missing {
            Object[] got = get.apply(path);
            if (got == null) {
                throw new Missing();
            }
            if (got[1] != null) {
                changed.put(path, (String) got[1]);
            }
            return (byte[]) got[0];
        }
    }
}
