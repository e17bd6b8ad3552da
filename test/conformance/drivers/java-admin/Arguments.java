import com.fasterxml.jackson.databind.JsonNode;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import org.apache.pulsar.client.api.MessageId;
import org.apache.pulsar.client.api.transaction.TxnID;
import org.apache.pulsar.client.impl.MessageIdImpl;
import org.apache.pulsar.common.util.ObjectMapperFactory;
import org.apache.pulsar.shade.com.fasterxml.jackson.databind.DeserializationFeature;
import org.apache.pulsar.shade.com.fasterxml.jackson.databind.ObjectMapper;

/** Arguments of calls from JSON: by the library's builders where it has one, else by its mapper, which refuses fields that are none. */
final class Arguments {
    private static final ObjectMapper MAPPER =
        ObjectMapperFactory.create().enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);

    private Arguments() {}

    static Object[] of(Method method, JsonNode given) throws Exception {
        Type[] types = method.getGenericParameterTypes();
        if (types.length != given.size()) throw new IllegalArgumentException(given.size() + " arguments for " + method);
        Object[] values = new Object[types.length];
        for (int index = 0; index < types.length; index++) values[index] = argument(types[index], given.get(index));
        return values;
    }

    private static Object argument(Type type, JsonNode given) throws Exception {
        Class<?> raw = rawOf(type);
        if (raw == Optional.class) {
            return given.isNull() ? Optional.empty() : Optional.of(argument(parameterOf(type), given));
        }
        if (given.isNull()) return null;
        if (raw == MessageId.class) return messageId(given.asText());
        if (raw == TxnID.class) return new TxnID(given.get(0).asLong(), given.get(1).asLong());
        if (raw == Predicate.class) return (Predicate<?>) ignored -> given.asBoolean();
        if (raw == List.class && given.isArray()) {
            List<Object> all = new ArrayList<>();
            for (JsonNode one : given) all.add(argument(parameterOf(type), one));
            return all;
        }
        Optional<Method> builder = builderOf(raw);
        if (builder.isPresent()) return built(builder.get().invoke(null), given);
        return MAPPER.readValue(given.toString(), MAPPER.getTypeFactory().constructType(type));
    }

    private static Class<?> rawOf(Type type) {
        return type instanceof ParameterizedType generic ? (Class<?>) generic.getRawType() : (Class<?>) type;
    }

    private static Type parameterOf(Type type) {
        return ((ParameterizedType) type).getActualTypeArguments()[0];
    }

    private static Optional<Method> builderOf(Class<?> type) {
        return Arrays.stream(type.getMethods())
            .filter(method -> method.getName().equals("builder") && method.getParameterCount() == 0 && Modifier.isStatic(method.getModifiers()))
            .findFirst();
    }

    /** @param given A method of the builder by each field's name. */
    private static Object built(Object builder, JsonNode given) throws Exception {
        for (Map.Entry<String, JsonNode> field : given.properties()) {
            Method setter = Arrays.stream(builder.getClass().getMethods())
                .filter(method -> method.getName().equals(field.getKey()) && method.getParameterCount() == 1 && !method.isBridge())
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException("no " + field.getKey() + " in " + builder.getClass()));
            setter.setAccessible(true);
            setter.invoke(builder, argument(setter.getGenericParameterTypes()[0], field.getValue()));
        }
        Method build = builder.getClass().getMethod("build");
        build.setAccessible(true);
        return build.invoke(builder);
    }

    /** @param text `earliest`, `latest`, or `ledger:entry`. */
    private static MessageId messageId(String text) {
        if (text.equals("earliest")) return MessageId.earliest;
        if (text.equals("latest")) return MessageId.latest;
        String[] parts = text.split(":");
        return new MessageIdImpl(Long.parseLong(parts[0]), Long.parseLong(parts[1]), -1);
    }
}
