import com.fasterxml.jackson.core.JsonProcessingException;
import java.nio.charset.StandardCharsets;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import org.apache.pulsar.client.api.Message;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.common.util.ObjectMapperFactory;

/** What the library answered, as JSON: by its own mapper, but for what that does not show. */
final class Answers {
    private Answers() {}

    static Object shown(Object value) throws Exception {
        if (value instanceof MessageId id) return id.toString();
        if (value instanceof Message<?> message) return shownMessage(message);
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> shown = new LinkedHashMap<>();
            for (Map.Entry<?, ?> entry : map.entrySet()) shown.put(String.valueOf(entry.getKey()), shown(entry.getValue()));
            return shown;
        }
        if (value instanceof Collection<?> all) {
            Object[] shown = new Object[all.size()];
            int index = 0;
            for (Object one : all) shown[index++] = shown(one);
            return shown;
        }
        if (value instanceof String text) return shownText(text);
        return Driver.JSON.readTree(ObjectMapperFactory.getMapper().writer().writeValueAsString(value));
    }

    private static Object shownMessage(Message<?> message) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("id", message.getMessageId().toString());
        shown.put("key", message.hasKey() ? message.getKey() : null);
        shown.put("payload", new String(message.getData(), StandardCharsets.UTF_8));
        shown.put("producerName", message.getProducerName());
        shown.put("properties", message.getProperties());
        return shown;
    }

    /** Some calls answer JSON as a text. */
    private static Object shownText(String text) {
        if (!text.startsWith("{") && !text.startsWith("[")) return text;
        try {
            return Driver.JSON.readTree(text);
        } catch (JsonProcessingException notJson) {
            return text;
        }
    }
}
