import type { CoreServices } from "../../../app/module.ts";
import type { ServerClient } from "../../server-client.ts";
import * as samples from "./samples.ts";

/** What the demo has besides: one of each kind, so that every page has something to show. Each says whether it was made. */
export class DemoExtras {
  readonly #db: CoreServices["db"];
  readonly #as: (username: string) => Promise<ServerClient>;

  /** @param as a client in the name of an account. */
  constructor({ db }: Pick<CoreServices, "db">, as: (username: string) => Promise<ServerClient>) {
    this.#db = db;
    this.#as = as;
  }

  /** What a rule of the demo sounds with. */
  async sound(): Promise<boolean> {
    const { filename } = samples.BELL;
    const found = this.#db.read.selectFrom("sounds").select("id").where("filename", "=", filename);
    if (await found.where("deletedAt", "is", null).executeTakeFirst()) return false;
    await (await this.#as(samples.ADMIN.username)).upload("/api/v1/sounds", samples.bellSound(), { filename });
    return true;
  }

  /** Quiet hours of somebody who has not said anything yet. */
  async preferences(username: string, userId: string): Promise<boolean> {
    const row = await this.#db.read.selectFrom("users").select("prefs").where("id", "=", userId).executeTakeFirst();
    if (row?.prefs !== "{}") return false;
    await (await this.#as(username)).put("/api/v1/users/me/preferences", samples.PREFERENCES);
    return true;
  }

  /** To everybody, from `admin`; who is named has acknowledged it. */
  async notification(userIds: readonly string[], acknowledgedBy: string): Promise<boolean> {
    const found = this.#db.read.selectFrom("notifications").select("id").where("title", "=", samples.WELCOME.title);
    if (await found.where("kind", "=", "direct").executeTakeFirst()) return false;
    const admin = await this.#as(samples.ADMIN.username);
    const body = { ...samples.WELCOME, recipients: userIds };
    const { id } = await admin.post<{ id: string }>("/api/v1/notifications", body);
    await (await this.#as(acknowledgedBy)).put(`/api/v1/notifications/${id}/acknowledge`, {});
    return true;
  }

  /** An entry of a channel, for whoever follows it from its beginning. */
  async publication(): Promise<boolean> {
    const { type } = samples.PUBLICATION;
    if (await this.#db.read.selectFrom("stream_log").select("seq").where("type", "=", type).executeTakeFirst())
      return false;
    await (await this.#as(samples.ADMIN.username)).post("/api/v1/realtime/publish", samples.PUBLICATION);
    return true;
  }
}
