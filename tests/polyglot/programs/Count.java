import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

public class Count {
    private static final Pattern STRING = Pattern.compile("\"(?:[^\"\\\\]|\\\\.)*\"");

    record Word(String quoted) implements Comparable<Word> {
        @Override
        public int compareTo(Word other) {
            return Arrays.compareUnsigned(bytes(), other.bytes());
        }

        private byte[] bytes() {
            return quoted.getBytes(StandardCharsets.UTF_8);
        }
    }

    public static void main(String[] args) throws Exception {
        String text = Files.readString(Path.of(System.getenv("SCRIPT_ARGS_FILE")));
        List<Word> words = new ArrayList<>();
        // The JDK has no parser of JSON: the strings of the one array are enough here.
        STRING.matcher(text.substring(text.indexOf('['))).results().forEach(it -> words.add(new Word(it.group())));
        Map<Word, Integer> counts = new TreeMap<>();
        words.forEach(it -> counts.merge(it, 1, Integer::sum));
        String pairs = counts.entrySet().stream()
                .map(it -> it.getKey().quoted() + ":" + it.getValue())
                .collect(Collectors.joining(","));
        System.out.println("{\"total\":" + words.size() + ",\"words\":{" + pairs + "}}");
    }
}
