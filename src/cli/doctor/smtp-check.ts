import type { Config } from "../../config/load.ts";
import { Mailer, smtpOptionsOf } from "../../services/mailer.ts";
import { type Check, fail, pass, warn } from "./check.ts";

/** Whether mail could be sent: the server is reached, speaks TLS where it must, and takes the credentials. Nothing is sent. */
export async function checkSmtp(config: Config): Promise<Check[]> {
  const { auth, env } = config;
  const options = smtpOptionsOf(config);
  if (!options) {
    const remedy = "set SMTP_HOST";
    if (auth.requireEmailVerification && auth.registration === "open")
      return [
        fail(
          "smtp",
          "no mail server: nobody who registers can confirm their address",
          `${remedy}, or auth.requireEmailVerification to false`,
        ),
      ];
    // People answered 202 wait for a mail that never comes (contract 4.4).
    if (env === "production")
      return [fail("smtp", "no mail server: forgotten passwords cannot be reset by mail", remedy)];
    return [warn("smtp", "no mail server: links to confirm, reset and invite are not mailed", remedy)];
  }
  const mailer = new Mailer(options);
  const server = `${options.host}:${options.port}`;
  try {
    await mailer.check();
    return [pass("smtp", `${server} takes mail`)];
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return [fail("smtp", `${server} does not take mail: ${reason}`)];
  } finally {
    mailer.close();
  }
}
