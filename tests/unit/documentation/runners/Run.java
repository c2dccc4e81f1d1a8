import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.Base64;

public class Run {
    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            byte[][] fields =
                    Arrays.stream(line.split("\t", -1)).map(Base64.getDecoder()::decode).toArray(byte[][]::new);
            String[] texts = Arrays.stream(fields).map(String::new).toArray(String[]::new);
            boolean isValid =
                    texts[0].equals("webhook")
                            ? Verify.isSignedWebhook(fields[1], texts[2], texts[3], texts[4], texts[5])
                            : Verify.isSignedBody(fields[1], texts[4], texts[5]);
            System.out.println(isValid ? "accepted" : "refused");
        }
    }
}
