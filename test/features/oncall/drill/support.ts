import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { Drill as DrillViewBody } from "../../../../src/client/api-types.gen.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { startRecorder, type WebhookRecorder } from "../../../helpers/webhook-recorder.ts";
import { mailPeer } from "../../delivery/support/mail-peer.ts";
import type { Peer } from "../../delivery/support/sender-contract.ts";
import { join, type OnCallWorld, onCallWorld, type Person } from "../support.ts";

export const PATH = "/api/v1/drills";
/** Development gives a token to local addresses only. */
const BASE = "http://localhost:4321";
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

interface Posted {
  readonly data: { readonly title: string; readonly action: { readonly url: string; readonly label: string } | null };
}

export type { Drill as DrillViewBody } from "../../../../src/client/api-types.gen.ts";

/** A server with real mail and a webhook's stand-in; ada has both ways. */
export interface DrillWorld extends OnCallWorld {
  readonly mail: Peer;
  readonly hook: WebhookRecorder<Posted>;
  readonly ada: Person;
}

export async function drillWorld(t: TestContext, settings: Record<string, string> = {}): Promise<DrillWorld> {
  const mail = await mailPeer(t);
  const hook = await startRecorder<Posted>(t);
  const own = { publicUrl: BASE, "webhooks.allowPrivateCidrs": "127.0.0.0/8", "auth.accessExpires": "30d" };
  const world = await onCallWorld(t, { ...mail.settings, ...own, ...settings });
  const { prism, ada } = world;
  await setMail(prism, ada, "ada@example.com");
  const made = await prism.post<{ id: string }>("/api/v1/webhooks", { url: `${hook.url}/pager` });
  assert.equal(made.status, 201, made.text);
  const { id } = made.body;
  await prism.services.db.write((trx) =>
    trx.updateTable("webhooks").set({ userId: ada.id }).where("id", "=", id).execute(),
  );
  return { ...world, mail, hook };
}

export async function setMail(prism: TestPrism, { id }: Person, email: string | null): Promise<void> {
  await prism.services.db.write((trx) => trx.updateTable("users").set({ email }).where("id", "=", id).execute());
}

/** A member of the world's project who may change its schedules. */
export async function manager({ prism, projectId }: OnCallWorld, name: string): Promise<Person> {
  const user = await makeUser(prism, name);
  await join(prism, projectId, user.id, "owner");
  return user;
}

/** The text of a mail, without the folding of quoted-printable. */
export function textOf(raw: string): string {
  return raw.replaceAll("=\r\n", "").replaceAll("=3D", "=");
}

/** The link of the last mail, at this server. */
export async function mailLink({ mail, prism }: DrillWorld, count = 1): Promise<string> {
  await eventually("the mail arrives", () => mail.accepted.length >= count);
  const [link = ""] =
    /http:\/\/localhost:4321\/account\/acknowledge\?token=[\w.-]+/.exec(textOf(mail.accepted.at(-1) ?? "")) ?? [];
  return link.replace(BASE, prism.url);
}

/** The link of the last webhook, at this server. */
export async function hookLink({ hook, prism }: DrillWorld, count = 1): Promise<string> {
  await eventually("the webhook arrives", () => hook.posts.length >= count);
  return (hook.posts.at(-1)?.body.data.action?.url ?? "").replace(BASE, prism.url);
}

/** Presses the button of the page. */
export function tap(url: string): Promise<Response> {
  return fetch(url, { method: "POST", headers: FORM, body: "acknowledge=yes" });
}

/** Ways of a drill, such as `mail confirmed` . */
export async function statesOf({ prism }: OnCallWorld, id: string): Promise<string[]> {
  const { body } = await prism.get<DrillViewBody>(`${PATH}/${id}`);
  return body.ways.map(({ name, state }) => `${name} ${state}`).sort();
}

export async function settled(world: OnCallWorld, id: string, wanted: readonly string[]): Promise<void> {
  let last: string[] = [];
  await eventually(
    () => `the ways are ${wanted.join(", ")}: ${last.join(", ")}`,
    async () => {
      last = await statesOf(world, id);
      return JSON.stringify(last) === JSON.stringify([...wanted].sort());
    },
  );
}

export async function startDrill(
  { prism }: OnCallWorld,
  token: string | undefined,
  body: object = {},
): Promise<DrillViewBody> {
  const reply = await prism.post<{ data: DrillViewBody[] }>(PATH, body, token === undefined ? {} : { token });
  assert.equal(reply.status, 202, reply.text);
  return reply.body.data[0] as DrillViewBody;
}

/** What drills have shown of the ways of a person, such as `mail: proven just now, 0.0 s`. */
export async function waysOf({ prism }: OnCallWorld, { token }: Person): Promise<string[]> {
  const { body } = await prism.get<{ data: { name: string; text: string }[] }>(`${PATH}/ways`, { token });
  return body.data.map(({ name, text }) => `${name}: ${text}`).sort();
}
