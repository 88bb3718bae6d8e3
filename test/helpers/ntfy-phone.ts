import assert from "node:assert/strict";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { eventually } from "./eventually.ts";
import type { Scope } from "./scope.ts";

interface Message {
  readonly event: string;
  readonly title?: string;
  readonly message?: string;
  readonly priority?: number;
}

interface Login {
  readonly user: string;
  readonly password: string;
}

/** A phone with the app of ntfy: one stream of a topic (https://docs.ntfy.sh/subscribe/api/). */
export class NtfyPhone {
  readonly rings: Message[] = [];
  #heard = 0;

  /** @param url of the topic. @param login of the app's user; none for an open topic */
  static async subscribe(t: Scope, url: string, login?: Login): Promise<NtfyPhone> {
    const auth = login && `${login.user}:${login.password}`;
    const request = get(`${url}/json`, auth === undefined ? {} : { auth }).on("error", () => undefined);
    t.after(() => request.destroy());
    const [response] = (await once(request, "response")) as [IncomingMessage];
    assert.equal(response.statusCode, 200, `subscribing to ${url}`);
    const phone = new NtfyPhone();
    let isOpen = false;
    let rest = "";
    response.setEncoding("utf8").on("error", () => undefined);
    response.on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.filter((each) => each !== "")) {
        const message = JSON.parse(line) as Message;
        if (message.event === "open") isOpen = true;
        if (message.event === "message") phone.rings.push(message);
      }
    });
    await eventually("the topic is open", () => isOpen);
    return phone;
  }

  /** The next message in order. */
  async next(what: string): Promise<Message> {
    const index = this.#heard++;
    return eventually(`the phone gets ${what}`, () => this.rings[index]);
  }
}
