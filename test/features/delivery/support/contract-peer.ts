import type { TestContext } from "node:test";
import type { Answer, Peer } from "./sender-contract.ts";
import { type Answering, WebPeer } from "./web-peer.ts";

type Answers = Readonly<Partial<Record<Exclude<Answer, "slow">, Answering>> & { accept: Answering }>;

/** A web server as the peer of a sender. @param idHeader the header with the id of a message. */
export async function contractPeer(
  t: TestContext,
  answers: Answers,
  idHeader: string,
): Promise<{ server: WebPeer; peer: Peer }> {
  const server = await WebPeer.start(t);
  const next: Answer[] = [];
  const accepted: string[] = [];
  const waiting: (() => void)[] = [];
  server.answer = (response, request) => {
    const answer = next.shift() ?? "accept";
    const take = (): void => {
      accepted.push(server.received.at(-1)?.body ?? "");
      answers.accept(response, request);
    };
    if (answer === "slow") return void waiting.push(take);
    if (answer === "accept") return take();
    const give = answers[answer];
    if (!give) throw new TypeError(`the peer cannot answer ${answer}`);
    give(response, request);
  };
  const peer: Peer = {
    answer: (...answers) => void next.push(...answers),
    get seen() {
      return server.received.map(({ headers }) => String(headers[idHeader]));
    },
    accepted,
    goOn: () => {
      for (const go of waiting.splice(0)) go();
    },
    settings: { "webhooks.allowPrivateCidrs": "127.0.0.0/8" },
  };
  return { server, peer };
}
