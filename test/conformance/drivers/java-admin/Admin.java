import com.fasterxml.jackson.databind.JsonNode;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.pulsar.client.admin.PulsarAdmin;
import org.apache.pulsar.client.admin.PulsarAdminBuilder;
import org.apache.pulsar.client.admin.PulsarAdminException;

/**
 * Any call of the admin client's interfaces by its name, its arguments as JSON. A name is `part.method`, with the types of the parameters behind
 * it where the library has several of that name: `topics.getStats(String,boolean)`. Methods that answer a future are listed only where there is no
 * other of the name without `Async`.
 */
final class Admin {
    private record Call(Object part, Method method) {}

    /** Shorter than the runner's own, so that it is the library that gives up. */
    private static final int TIMEOUT_SECONDS = 30;

    private final Map<String, Call> calls = new TreeMap<>();

    private Admin(PulsarAdmin admin) throws ReflectiveOperationException {
        for (Method part : PulsarAdmin.class.getMethods()) {
            Class<?> of = part.getReturnType();
            boolean isPart = of.isInterface() && of != PulsarAdminBuilder.class && of.getPackage() == PulsarAdmin.class.getPackage();
            if (isPart && part.getParameterCount() == 0) add(part.getName(), of, part.invoke(admin));
        }
        Method scoped = PulsarAdmin.class.getMethod("topicPolicies", boolean.class);
        add("globalTopicPolicies", scoped.getReturnType(), scoped.invoke(admin, true));
    }

    static void register(Driver driver) {
        driver.on("admin.open", a -> {
            PulsarAdmin admin = PulsarAdmin.builder()
                .serviceHttpUrl(a.get("url").asText())
                .readTimeout(TIMEOUT_SECONDS, TimeUnit.SECONDS)
                .requestTimeout(TIMEOUT_SECONDS, TimeUnit.SECONDS)
                .build();
            return Map.of("handle", driver.keep(new Admin(admin)));
        });
        driver.on("admin.methods", a -> driver.<Admin>held(a, "handle").calls.keySet());
        driver.on("admin.call", a -> driver.<Admin>held(a, "handle").answer(a.get("call").asText(), a.get("args")));
    }

    private void add(String name, Class<?> of, Object part) {
        List<Method> methods = Arrays.stream(of.getMethods()).filter(method -> !Modifier.isStatic(method.getModifiers())).toList();
        Map<String, List<Method>> named = methods.stream().collect(Collectors.groupingBy(Method::getName));
        for (Method method : methods) {
            boolean isFuture = method.getReturnType() == CompletableFuture.class;
            if (isFuture && named.containsKey(method.getName().replaceAll("Async$", "")) && method.getName().endsWith("Async")) continue;
            boolean isAlone = named.get(method.getName()).size() == 1;
            calls.put(name + "." + method.getName() + (isAlone ? "" : signature(method)), new Call(part, method));
        }
    }

    private static String signature(Method method) {
        return Arrays.stream(method.getParameterTypes()).map(Class::getSimpleName).collect(Collectors.joining(",", "(", ")"));
    }

    /** {"value":…}, or {"refused":{"code":…,"reason":…}} where the server refused, or {"failed":…} where the library did. */
    private Object answer(String name, JsonNode arguments) throws Exception {
        Call call = calls.get(name);
        if (call == null) throw new IllegalArgumentException("no such call: " + name);
        Object[] values = Arguments.of(call.method(), arguments);
        try {
            Object value = call.method().invoke(call.part(), values);
            return of("value", Answers.shown(value instanceof CompletableFuture<?> future ? future.get() : value));
        } catch (InvocationTargetException | ExecutionException wrapped) {
            return unanswered(wrapped.getCause());
        }
    }

    /** Where there was no answer, the library makes up the status, but no reason. */
    private static Map<String, Object> unanswered(Throwable cause) {
        if (cause instanceof PulsarAdminException refusal && refusal.getHttpError() != null) {
            return of("refused", Map.of("code", refusal.getStatusCode(), "reason", refusal.getHttpError()));
        }
        return of("failed", String.valueOf(cause.getMessage()));
    }

    /** Unlike Map.of it takes a null. */
    private static Map<String, Object> of(String name, Object value) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put(name, value);
        return map;
    }
}
