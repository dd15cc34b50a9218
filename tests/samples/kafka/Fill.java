// Makes a topic with as many partitions as there are offsets, puts messages into it in turn, and commits the offsets for a
// consumer group. Arguments: bootstrap servers, topic, messages, group, offsets.

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringSerializer;

class Fill {
    public static void main(String[] args) throws Exception {
        String topic = args[1];
        int messages = Integer.parseInt(args[2]);
        String[] offsets = args[4].split(",");
        Map<String, Object> settings = Map.of("bootstrap.servers", args[0]);
        Map<TopicPartition, OffsetAndMetadata> committed = new HashMap<>();
        for (int partition = 0; partition < offsets.length; partition++) {
            committed.put(new TopicPartition(topic, partition), new OffsetAndMetadata(Long.parseLong(offsets[partition])));
        }
        StringSerializer text = new StringSerializer();
        try (Admin admin = Admin.create(settings);
                KafkaProducer<String, String> producer = new KafkaProducer<>(settings, text, text)) {
            admin.createTopics(List.of(new NewTopic(topic, offsets.length, (short) 1))).all().get();
            for (int message = 0; message < messages; message++) {
                producer.send(new ProducerRecord<>(topic, message % offsets.length, null, "message " + message)).get();
            }
            admin.alterConsumerGroupOffsets(args[3], committed).all().get();
        }
    }
}
