using System;
using System.Linq;
using System.Text;

public static class Run
{
    public static void Main()
    {
        for (var line = Console.ReadLine(); line != null; line = Console.ReadLine())
        {
            var fields = line.Split('\t').Select(Convert.FromBase64String).ToArray();
            var texts = fields.Select(Encoding.UTF8.GetString).ToArray();
            var isValid = texts[0] == "webhook"
                ? Verify.IsSignedWebhook(fields[1], texts[2], texts[3], texts[4], texts[5])
                : Verify.IsSignedBody(fields[1], texts[4], texts[5]);
            Console.WriteLine(isValid ? "accepted" : "refused");
        }
    }
}
