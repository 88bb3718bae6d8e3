import { createRequire } from "node:module";

interface Example {
  readonly name: string;
  readonly examples: readonly Record<string, unknown>[];
}

export interface GithubEvent {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly payload: Record<string, unknown>;
}

// The package declares ESM types but ships a JSON file.
const webhooks = createRequire(import.meta.url)("@octokit/webhooks-examples") as readonly Example[];

/** Every payload GitHub documents for its webhooks, as events. @param id gives each its id. */
export function githubEvents(id: () => string): GithubEvent[] {
  return webhooks.flatMap(({ name, examples }) =>
    examples.map((payload) => ({ id: id(), type: `github.${name}`, source: "github", payload })),
  );
}

/**
 * The value at a path of a payload; undefined if the path does not exist. Plain JavaScript,
 * independent of Prism's language.
 */
function at(payload: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>((value, name) => (value as Record<string, unknown> | null | undefined)?.[name], payload);
}

/** Seven rules of different shapes, each beside plain JavaScript that says the same. */
export const GITHUB_RULES: readonly {
  readonly name: string;
  readonly condition: string;
  readonly priority: number;
  fires(type: string, payload: Record<string, unknown>): boolean;
}[] = [
  { name: "push", condition: "event.type == 'github.push'", priority: 10, fires: (type) => type === "github.push" },
  {
    name: "issue opened",
    condition: "event.type == 'github.issues' && event.action == 'opened'",
    priority: 0,
    fires: (type, payload) => type === "github.issues" && payload["action"] === "opened",
  },
  {
    name: "pull request that is not a draft",
    condition: "startsWith(event.type, 'github.pull_request') and event.payload.pull_request.draft == false",
    priority: 5,
    fires: (type, payload) => type.startsWith("github.pull_request") && at(payload, "pull_request", "draft") === false,
  },
  {
    name: "seen repository",
    condition: "event.payload.repository.stargazers_count >= 1 or event.payload.repository.forks > 0",
    priority: 0,
    fires: (_type, payload) =>
      Number(at(payload, "repository", "stargazers_count")) >= 1 || Number(at(payload, "repository", "forks")) > 0,
  },
  {
    name: "known sender with an action",
    condition: "event.payload.sender.login in ['Codertocat', 'octocat'] and not (event.payload.action == null)",
    priority: 0,
    fires: (_type, payload) =>
      ["Codertocat", "octocat"].includes(String(at(payload, "sender", "login"))) &&
      typeof payload["action"] === "string",
  },
  {
    name: "hello world",
    condition: "matches(lower(event.payload.repository.full_name), '^codertocat/hello')",
    priority: 1,
    fires: (_type, payload) =>
      /^codertocat\/hello/.test(String(at(payload, "repository", "full_name") ?? "").toLowerCase()),
  },
  {
    name: "organisation or installation",
    condition:
      "exists(event.payload.organization) ? length(event.payload.organization.login) > 5 : event.payload.installation.id > 1",
    priority: 0,
    fires: (_type, payload) =>
      Object.hasOwn(payload, "organization")
        ? String(at(payload, "organization", "login") ?? "").length > 5
        : Number(at(payload, "installation", "id")) > 1,
  },
];

/**
 * Names of the rules that fire, in the order the notifications are made: by priority, then by age.
 */
export function firing({ type, payload }: Pick<GithubEvent, "type" | "payload">): string[] {
  return GITHUB_RULES.map((rule, age) => ({ rule, age }))
    .filter(({ rule }) => rule.fires(type, payload) === true)
    .sort((a, b) => b.rule.priority - a.rule.priority || a.age - b.age)
    .map(({ rule }) => rule.name);
}
