// Compares how far a consumer group has read with how much there is to read, for each partition, and fails if it lags
// too far behind, if it never read, or if nobody of it is there.
//
//DEPS org.apache.kafka:kafka-clients:4.1.1
//DEPS com.google.code.gson:gson:2.11.0
//DEPS org.slf4j:slf4j-nop:1.7.36
//JAVA 17+

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.TimeoutException;

public class KafkaLagCheck {
    /** Partitions that are shown; all of them are compared. */
    private static final int MOST_SHOWN = 100;

    private final JsonObject details = new JsonObject();

    /** How one partition stands. */
    record Lag(TopicPartition partition, long committed, long end) {
        long messages() {
            return Math.max(0, end - committed);
        }

        JsonObject json() {
            JsonObject json = new JsonObject();
            json.addProperty("topic", partition.topic());
            json.addProperty("partition", partition.partition());
            json.addProperty("committed", committed);
            json.addProperty("end", end);
            json.addProperty("lag", messages());
            return json;
        }
    }

    public static void main(String[] args) throws IOException, InterruptedException {
        new KafkaLagCheck().check(arguments());
    }

    private static JsonObject arguments() throws IOException {
        String named = System.getenv("SCRIPT_ARGS_FILE");
        Path file = Path.of(named == null || named.isEmpty() ? "/scripts/args.json" : named);
        if (!Files.exists(file)) {
            return new JsonObject();
        }
        try {
            return JsonParser.parseString(Files.readString(file)).getAsJsonObject();
        } catch (JsonParseException | IllegalStateException error) {
            throw new IOException(file + " holds no JSON object", error);
        }
    }

    private static String text(JsonObject args, String name, String otherwise) {
        return args.has(name) ? args.get(name).getAsString() : otherwise;
    }

    private static long number(JsonObject args, String name, long otherwise) {
        return args.has(name) ? args.get(name).getAsLong() : otherwise;
    }

    private void check(JsonObject args) throws IOException, InterruptedException {
        String servers = text(args, "bootstrap_servers", "localhost:9092");
        String group = text(args, "group_id", "my-consumer-group");
        long maxLag = number(args, "max_lag", 1000);
        long seconds = number(args, "timeout_seconds", 30);
        boolean members = args.has("require_members") && args.get("require_members").getAsBoolean();
        Set<String> topics = new HashSet<>();
        if (args.has("topics")) {
            args.getAsJsonArray("topics").forEach(topic -> topics.add(topic.getAsString()));
        }
        details.addProperty("group_id", group);
        details.addProperty("max_lag", maxLag);

        Properties settings = new Properties();
        int milliseconds = (int) TimeUnit.SECONDS.toMillis(seconds);
        settings.put(AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, milliseconds);
        settings.put(AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, Math.min(milliseconds, 10_000));
        Admin admin;
        try {
            admin = Admin.create(settings);
        } catch (KafkaException error) {
            finish(false, "`bootstrap_servers` can't be used: " + cause(error).getMessage());
            return;
        }
        try {
            List<Lag> lags = lags(admin, group, topics);
            judge(group, maxLag, members ? membersOf(admin, group) : 1, topics, lags);
        } catch (ExecutionException error) {
            if (error.getCause() instanceof TimeoutException) {
                finish(false, "kafka at " + servers + " did not answer within " + seconds + " s");
            } else if (error.getCause() instanceof GroupIdNotFoundException) {
                finish(false, "kafka at " + servers + " knows no consumer group " + group);
            } else {
                finish(false, "kafka at " + servers + " refuses: " + error.getCause().getMessage());
            }
        } finally {
            admin.close(Duration.ZERO);
        }
    }

    private static List<Lag> lags(Admin admin, String group, Set<String> topics)
            throws ExecutionException, InterruptedException {
        Map<TopicPartition, OffsetAndMetadata> committed =
                admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        Map<TopicPartition, OffsetSpec> asked = committed.entrySet().stream()
                // A partition that the group has, and of which it committed nothing yet, has no offset.
                .filter(entry -> entry.getValue() != null)
                .filter(entry -> topics.isEmpty() || topics.contains(entry.getKey().topic()))
                .collect(Collectors.toMap(Map.Entry::getKey, entry -> OffsetSpec.latest()));
        Map<TopicPartition, ListOffsetsResultInfo> ends = admin.listOffsets(asked).all().get();
        return ends.entrySet().stream()
                .map(end -> new Lag(end.getKey(), committed.get(end.getKey()).offset(), end.getValue().offset()))
                .sorted(Comparator.comparingLong(Lag::messages).reversed())
                .toList();
    }

    private static int membersOf(Admin admin, String group) throws ExecutionException, InterruptedException {
        ConsumerGroupDescription description =
                admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get();
        return description.members().size();
    }

    private void judge(String group, long maxLag, int members, Set<String> topics, List<Lag> lags) throws IOException {
        long total = lags.stream().mapToLong(Lag::messages).sum();
        JsonArray shown = new JsonArray();
        lags.stream().limit(MOST_SHOWN).forEach(lag -> shown.add(lag.json()));
        details.addProperty("total_lag", total);
        details.addProperty("partition_count", lags.size());
        details.add("partitions", shown);

        Set<String> unread = new HashSet<>(topics);
        lags.forEach(lag -> unread.remove(lag.partition().topic()));
        if (lags.isEmpty() || !unread.isEmpty()) {
            String of = unread.isEmpty() ? "" : " of " + String.join(", ", unread);
            finish(false, "consumer group " + group + " has committed nothing" + of);
        } else if (members == 0) {
            finish(false, "consumer group " + group + " has no members; it lags " + total + " messages behind");
        } else if (total > maxLag) {
            Lag worst = lags.get(0);
            finish(false, "consumer group " + group + " lags " + total + " messages behind, more than " + maxLag
                    + "; the most in " + worst.partition() + ", " + worst.messages());
        } else {
            finish(true, "consumer group " + group + " lags " + total + " messages behind in " + lags.size()
                    + " partitions, at most " + maxLag + " are allowed");
        }
    }

    private static Throwable cause(Throwable error) {
        return error.getCause() instanceof ConfigException ? error.getCause() : error;
    }

    /** Says how it went: a line for people, a structured record, a JSON result, an exit code. */
    private void finish(boolean passed, String message) throws IOException {
        JsonObject result = new JsonObject();
        result.addProperty("check", "kafka-consumer-check");
        result.addProperty("passed", passed);
        result.addProperty("message", message);
        for (Map.Entry<String, JsonElement> entry : details.entrySet()) {
            result.add(entry.getKey(), entry.getValue());
        }
        String json = new GsonBuilder().disableHtmlEscaping().create().toJson(result);
        System.out.println(message);
        System.out.println("@@" + json);
        String file = System.getenv("SCRIPT_RESULT");
        if (file != null && !file.isEmpty()) {
            Files.writeString(Path.of(file), json);
        }
        System.exit(passed ? 0 : 1);
    }
}
