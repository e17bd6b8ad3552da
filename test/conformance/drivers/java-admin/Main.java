import org.apache.pulsar.client.admin.PulsarAdmin;

/** The Java admin client (org.apache.pulsar:pulsar-client-admin) as a driver. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws Exception {
        String version = "pulsar-client-admin (Java) " + PulsarAdmin.class.getPackage().getImplementationVersion();
        Driver.serve(version, Admin::register);
    }
}
