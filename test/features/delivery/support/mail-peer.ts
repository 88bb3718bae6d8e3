import type { Socket } from "node:net";
import type { TestContext } from "node:test";
import { SMTPServer } from "smtp-server";
import type { Answer, Peer, SenderContract } from "./sender-contract.ts";

/** An SMTP error as the server is to say it. */
function reply(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode });
}

/**
 * A real SMTP server with a configurable answer to the next mails. It requires a login, so that it
 * can refuse one.
 */
export async function mailPeer(t: TestContext): Promise<Peer> {
  const answers: Answer[] = [];
  const seen: string[] = [];
  const accepted: string[] = [];
  const waiting: (() => void)[] = [];
  const takes = (...known: Answer[]): Answer | undefined =>
    answers[0] && known.includes(answers[0]) ? answers.shift() : undefined;
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS"],
    allowInsecureAuth: true,
    logger: false,
    closeTimeout: 1,
    onAuth({ username }, _session, callback) {
      if (takes("deny")) callback(reply(535, "Authentication failed"));
      else callback(null, { user: username ?? "" });
    },
    onRcptTo(_address, _session, callback) {
      const answer = takes("later", "gone");
      if (answer === "later") callback(reply(451, "Try again later"));
      else if (answer === "gone") callback(reply(550, "5.1.1 No such user"));
      else callback();
    },
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const raw = Buffer.concat(chunks).toString();
        seen.push(/^message-id: (.+)$/im.exec(raw)?.[1]?.trim() ?? "");
        const accept = (): void => {
          accepted.push(raw);
          callback();
        };
        const answer = takes("refuse", "drop", "slow");
        if (answer === "refuse") callback(reply(554, "Message refused"));
        else if (answer === "drop") {
          for (const connection of server.connections as Set<{ session: unknown; _socket: Socket }>)
            if (connection.session === session) connection._socket.destroy();
        } else if (answer === "slow") waiting.push(accept);
        else accept();
      });
    },
  });
  // A client that breaks off is part of what is tested.
  server.on("error", () => undefined);
  const port = await new Promise<number>((resolve) => {
    const listening = server.listen(0, "127.0.0.1", () => resolve((listening.address() as { port: number }).port));
  });
  t.after(() => new Promise<void>((resolve) => server.close(resolve)));
  return {
    seen,
    accepted,
    answer: (...next) => answers.push(...next),
    goOn() {
      for (const accept of waiting.splice(0)) accept();
    },
    settings: {
      "smtp.host": "127.0.0.1",
      "smtp.port": String(port),
      "smtp.from": "Prism <prism@example.com>",
      "smtp.user": "prism",
      "smtp.pass": "secret",
    },
  };
}

export const MAIL_CONTRACT: SenderContract = {
  channel: "email",
  answers: ["later", "refuse", "gone", "deny", "drop", "slow"],
  wireId: (id) => `<${id}@example.com>`,
  peer: mailPeer,
  // Every user in this world has an address.
  place: async () => undefined,
};
