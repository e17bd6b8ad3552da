import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.apache.pulsar.admin.cli.PulsarAdminTool;
import org.apache.pulsar.client.cli.PulsarClientTool;
import picocli.CommandLine;

/**
 * Any command of the two tools, in this process: a process for each would be slow to start. A call's name is `group command`, such as
 * `topics create`, or `client produce` for a command of `pulsar-client`; its arguments are those of the command line.
 */
final class Cli {
    private static final String CLIENT = "client ";
    /** Commands that write messages, whose order is compared. */
    private static final Pattern MESSAGES = Pattern.compile("client .*|.* (peek-messages|examine-messages|get-message-by-id)");

    /** What the tools write. They hold on to the streams that they find, so these stay the same. */
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();
    private final ByteArrayOutputStream err = new ByteArrayOutputStream();
    private final Properties settings = new Properties();
    private final Admin admin;

    /** The tool as its own shell has it. */
    private static final class Admin extends PulsarAdminTool {
        Admin(Properties settings) throws Exception {
            super(settings);
        }

        int exitCodeOf(String[] words) {
            return run(words) ? 0 : 1;
        }

        CommandLine commands() {
            return commander;
        }
    }

    private static final class Client extends PulsarClientTool {
        Client(Properties settings) {
            super(settings);
        }

        CommandLine commands() {
            return commander;
        }
    }

    private Cli(String webUrl, String brokerUrl) throws Exception {
        System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
        System.setIn(InputStream.nullInputStream()); // a command that asks for leave would read the driver's own
        settings.setProperty("webServiceUrl", webUrl);
        settings.setProperty("brokerServiceUrl", brokerUrl);
        admin = new Admin(settings);
    }

    static void register(Driver driver) {
        driver.on("admin.open", a -> {
            Cli cli = new Cli(a.get("url").asText(), a.get("brokerUrl").asText());
            return Map.of("handle", driver.keep(cli));
        });
        driver.on("admin.methods", a -> driver.<Cli>held(a, "handle").names());
        driver.on("admin.call", a -> driver.<Cli>held(a, "handle").answer(a.get("call").asText(), a.get("args")));
    }

    private TreeSet<String> names() {
        TreeSet<String> names = new TreeSet<>();
        for (CommandLine group : admin.commands().getSubcommands().values()) {
            for (CommandLine command : group.getSubcommands().values()) {
                names.add(group.getCommandName() + " " + command.getCommandName());
            }
        }
        for (CommandLine command : new Client(settings).commands().getSubcommands().values()) {
            names.add(CLIENT + command.getCommandName());
        }
        return names;
    }

    /** {"value": what was written}, or {"refused": {"code": the exit code, "reason": what was written}}. */
    private synchronized Object answer(String name, JsonNode arguments) {
        out.reset();
        err.reset();
        List<String> words = new ArrayList<>(List.of(name.split(" ")));
        for (JsonNode argument : arguments) words.add(argument.asText());
        int exitCode = name.startsWith(CLIENT)
            ? new Client(settings).run(words.subList(1, words.size()).toArray(String[]::new))
            : admin.exitCodeOf(words.toArray(String[]::new));
        Object written = shown(name, out.toString(StandardCharsets.UTF_8) + err.toString(StandardCharsets.UTF_8));
        return exitCode == 0 ? Map.of("value", written) : Map.of("refused", Map.of("code", exitCode, "reason", written));
    }

    /** JSON as what it is, messages as one text, anything else by its lines, whose order is nobody's. */
    private static Object shown(String name, String text) {
        try {
            JsonNode json = Driver.JSON.readTree(text);
            if (json.isContainerNode()) return json;
        } catch (JsonProcessingException notJson) {
            // lines, then
        }
        List<String> lines = text.lines().filter(line -> !line.isBlank() && !line.startsWith("\tat ")).toList();
        return MESSAGES.matcher(name).matches() ? String.join("\n", lines) : lines;
    }
}
