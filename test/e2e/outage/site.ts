import type { Scope } from "../../helpers/scope.ts";
import type { Acceptance, Now, Receiver } from "./receiver.ts";
import { type Settings, serviceReceiver, webhookReceiver } from "./receivers.ts";
import { type OpenWay, openWays, type WayName } from "./ways.ts";

/* One server with a target of each way that fails, and healthy targets behind them. */

/** A running server as its administrator calls it. */
export interface Caller {
  call<T>(method: string, path: string, body?: object, token?: string): Promise<T>;
}

/** @param server its address changes with each start. */
export function callerOf(server: () => { readonly url: string; readonly token: string }): Caller {
  return {
    async call<T>(method: string, path: string, body?: object, token = server().token): Promise<T> {
      const response = await fetch(`${server().url}/api/v1${path}`, {
        method,
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
      return (text === "" ? {} : JSON.parse(text)) as T;
    },
  };
}

/** The last one is far away: it is reached only because an earlier way failed. */
const LATER_MS = 1_800_000;
const PASSWORD = "the password of a person";

export interface Person {
  readonly id: string;
  readonly token: string;
}

/** An alert that was sent: it opens an incident of one way. */
export interface Fired {
  readonly way: WayName;
  /** In every text of the incident, and in no other. */
  readonly name: string;
  readonly at: number;
}

/** Targets of all ways, and where each leads when it fails. Opened before the server starts. */
export class Targets {
  readonly ways: readonly OpenWay[];
  /** Webhooks of people and rooms of policies that always work. */
  readonly backups: { readonly webhook: Receiver; readonly service: Receiver };
  /** The webhook of a person who is paged when a policy reaches no one. */
  readonly keeper: Receiver;

  private constructor(ways: readonly OpenWay[], backups: Targets["backups"], keeper: Receiver) {
    this.ways = ways;
    this.backups = backups;
    this.keeper = keeper;
  }

  static async open(scope: Scope, now: Now, names: readonly WayName[]): Promise<Targets> {
    const [webhook, service] = [await webhookReceiver(scope, now), await serviceReceiver(scope, now)];
    const keeper = await webhookReceiver(scope, now);
    return new Targets(await openWays(scope, now, names), { webhook, service }, keeper);
  }

  /** What all targets have accepted. */
  get accepted(): readonly Acceptance[] {
    const all = [...this.receivers, this.backups.webhook, this.backups.service, this.keeper];
    return all.flatMap(({ ledger }) => ledger.accepted);
  }

  get settings(): Settings {
    return Object.assign(
      { "webhooks.allowPrivateCidrs": "127.0.0.0/8", "rateLimit.enabled": "false", "auth.bcryptCost": "4" },
      ...this.ways.map(({ settings }) => settings),
    ) as Settings;
  }

  get receivers(): readonly Receiver[] {
    return this.ways.map(({ receiver }) => receiver);
  }
}

/** The same names as environment variables. */
export function environmentOf(settings: Settings): Record<string, string> {
  const nameOf = (key: string): string =>
    `PRISM_${key
      .replaceAll(".", "_")
      .replaceAll(/[A-Z]/g, (letter) => `_${letter}`)
      .toUpperCase()}`;
  return Object.fromEntries(Object.entries(settings).map(([key, value]) => [nameOf(key), value]));
}

/** Makes people, channels, a policy for each way, and the routes that lead to them. */
export async function prepare(server: Caller, targets: Targets): Promise<void> {
  await appointKeeper(server, targets);
  for (const way of targets.ways) {
    const steps = way.step ? await stepsOf(server, targets, way) : [await notifyOne(server, targets, way)];
    await server.call("POST", "/policies", { name: way.name, steps });
  }
  const routes = targets.ways.map(({ name }) => ({ matchers: [`way="${name}"`], policy: name }));
  const times = { groupBy: ["..."], groupWaitMs: 0, groupIntervalMs: 1000, repeatMs: 14_400_000 };
  await server.call("PUT", "/routes", { route: { policy: "default", ...times, routes } });
}

/** The default policy notifies one person, at a webhook that works. */
async function appointKeeper(server: Caller, { keeper }: Targets): Promise<void> {
  const { id, token } = await signUp(server, "keeper");
  await server.call("POST", "/webhooks", { url: keeper.url }, token);
  const rules = [{ afterMs: 0, channels: ["webhook"] }];
  await server.call("PUT", "/users/me/contact-rules", { high: rules, low: rules }, token);
  const { data } = await server.call<{ data: { id: string; name: string }[] }>("GET", "/policies");
  const policy = data.find(({ name }) => name === "default");
  await server.call("PUT", `/policies/${policy?.id}`, { name: "default", steps: [{ type: "notify", users: [id] }] });
}

/** The step that fails, and half an hour later a room. */
async function stepsOf(server: Caller, { backups }: Targets, { name, receiver, step }: OpenWay): Promise<object[]> {
  const channel = async (preset: string, fields: object, suffix = ""): Promise<object> => {
    const body = { name: `${name}${suffix}`, preset, projectId: "default", eventTypes: ["none.x"], fields };
    return { type: "channel", id: (await server.call<{ id: string }>("POST", "/channels", body)).id };
  };
  const backup = await channel("http", { url: `${backups.service.url}/${name}` }, "-backup");
  const first = await step?.({ url: receiver.url, channel });
  return [first ?? {}, { type: "wait", ms: LATER_MS }, backup];
}

/** A person with the way that fails, and half an hour later another one. */
async function notifyOne(server: Caller, { backups }: Targets, way: OpenWay): Promise<object> {
  const { name, urgency = "high" } = way;
  const person = await signUp(server, name);
  const asPerson: Caller = {
    call: (method, path, body, token = person.token) => server.call(method, path, body, token),
  };
  await way.place?.(asPerson);
  const isWebhook = way.contact === "webhook";
  if (isWebhook) {
    const fields = { url: `${backups.service.url}/${name}` };
    await asPerson.call("POST", "/channels", { name: `${name}-backup`, preset: "http", fields });
  } else await asPerson.call("POST", "/webhooks", { url: `${backups.webhook.url}/${name}` });
  const rules = [
    { afterMs: 0, channels: [way.contact] },
    { afterMs: LATER_MS, channels: [isWebhook ? "service" : "webhook"] },
  ];
  await asPerson.call("PUT", "/users/me/contact-rules", { high: [], low: [], [urgency]: rules });
  return { type: "notify", users: [person.id], urgency };
}

/** A user with the rights to have webhooks, who is a member of the project. */
export async function signUp(server: Caller, username: string, project = "default"): Promise<Person> {
  const account = { username, email: `${username}@example.org`, password: PASSWORD, roles: ["RuleManager"] };
  const { id } = await server.call<{ id: string }>("POST", "/users", account);
  await server.call("POST", `/projects/${project}/members`, { userId: id, role: "editor" });
  const { accessToken } = await server.call<{ accessToken: string }>("POST", "/auth/login", {
    login: username,
    password: PASSWORD,
  });
  return { id, token: accessToken };
}

/** Opens one incident for each way. @param round in its name. */
export async function fire(server: Caller, { ways }: Targets, round: string, now: Now): Promise<Fired[]> {
  const fired = ways.map(({ name: way }) => ({ way, name: `Q.${way}.${round}.Q`, at: now() }));
  const alerts = fired.map(({ way, name }) => ({ key: name, labels: { alertname: name, way } }));
  await server.call("POST", "/alerts", { alerts });
  return fired;
}
