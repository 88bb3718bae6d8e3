import type { Config } from "../../../config/load.ts";
import { Mailer, smtpOptionsOf } from "../../../features/delivery/channels/mail/mailer.ts";
import { type Check, fail, pass, warn } from "./check.ts";

/**
 * Whether mail could be sent: the server is reached, speaks TLS where it must, and takes the credentials.
 * @param sends also a real message, from the sender's address to itself: whether mail arrives only that address can tell
 */
export async function checkSmtp(config: Config, sends: boolean): Promise<Check[]> {
  const { auth } = config;
  const options = smtpOptionsOf(config);
  if (!options) {
    const remedy = "set SMTP_HOST";
    if (auth.requireEmailVerification && auth.registration === "open")
      return [
        fail(
          "smtp",
          "no mail server: users who register cannot confirm their address",
          `${remedy}, or auth.requireEmailVerification to false`,
        ),
      ];
    return [
      warn(
        "smtp",
        "no mail server: passwords cannot be reset by mail, and links to confirm or invite are not sent",
        remedy,
      ),
    ];
  }
  const mailer = new Mailer(options);
  const server = `${options.host}:${options.port}`;
  try {
    await mailer.check();
    if (!sends) return [pass("smtp", `${server} takes mail`)];
    await mailer.send({ to: addressOf(options.from), ...TEST_MAIL });
    return [pass("smtp", `${server} took a test message to ${addressOf(options.from)}; see whether it arrives`)];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [fail("smtp", `${server} does not take mail: ${reason}`)];
  } finally {
    mailer.close();
  }
}

const TEST_MAIL = {
  subject: "Prism: test message",
  text: "prism doctor --deep has sent this, to see whether mail arrives. There is nothing to do.",
};

/** The address in `Name <address>`, or the text itself. */
function addressOf(sender: string): string {
  return /<([^<>]+)>\s*$/.exec(sender)?.[1] ?? sender;
}
