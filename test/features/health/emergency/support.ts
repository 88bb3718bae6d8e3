import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { listening } from "../../../helpers/listening.ts";

/** The body of a call. */
export interface CallBody {
  readonly id: string;
  readonly reason: string;
  readonly title: string;
  readonly text: string;
  readonly what: string;
  readonly since: string;
  readonly facts: Readonly<Record<string, string | number>>;
  readonly server: { readonly url: string; readonly host: string };
  readonly test: boolean;
}

/** A receiver of calls with the answer of the moment. */
export interface Receiver {
  readonly url: string;
  readonly calls: CallBody[];
  status: number;
}

export async function webhookReceiver(t: TestContext): Promise<Receiver> {
  const calls: CallBody[] = [];
  const receiver = { url: "", calls, status: 200 };
  const server: Server = createServer(async (request, response) => {
    calls.push(JSON.parse(await text(request)) as CallBody);
    response.writeHead(receiver.status).end();
  });
  const port = await listening(t, server);
  receiver.url = `http://127.0.0.1:${port}/hook/secret-token`;
  return receiver;
}

/** A real SMTP server that requires the login `ops` with the password `right`. */
export async function mailReceiver(t: TestContext, options: SMTPServerOptions = {}) {
  const mails: string[] = [];
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS"],
    allowInsecureAuth: true,
    logger: false,
    closeTimeout: 1,
    onAuth({ username, password }, _session, callback) {
      if (username === "ops" && password === "right") callback(null, { user: username });
      else callback(Object.assign(new Error("Authentication failed"), { responseCode: 535 }));
    },
    onData(stream, _session, callback) {
      text(stream).then((mail) => {
        mails.push(mail);
        callback();
      }, callback);
    },
    ...options,
  });
  server.on("error", () => undefined);
  const port = await new Promise<number>((resolve) => {
    const listening = server.listen(0, "127.0.0.1", () => resolve((listening.address() as AddressInfo).port));
  });
  t.after(() => new Promise<void>((resolve) => server.close(resolve)));
  return { port, mails };
}
