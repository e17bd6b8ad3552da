import org.apache.pulsar.admin.cli.PulsarAdminTool;

/** `pulsar-admin` and `pulsar-client` (org.apache.pulsar:pulsar-client-tools, which their scripts start) as a driver. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        String version = "pulsar-client-tools " + PulsarAdminTool.class.getPackage().getImplementationVersion();
        Driver.serve(version, Cli::register);
    }
}
