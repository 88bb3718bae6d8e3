import { type Command, Option } from "commander";
import type { SealPlace } from "../../../core/crypto/public-seal.ts";
import type { CommandContext } from "../../context.ts";
import { parseJson, readTextFile } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { printable } from "../../output/output.ts";
import { single } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { readSecret } from "../access/prompt.ts";

interface SealFlags extends SealPlace {
  readonly key?: string;
}

interface SealKey {
  readonly key: string;
}

/** Members that may hold a secret, by kind. */
const SECRET_FIELDS: Readonly<Record<string, RegExp>> = {
  channels: /^fields\.[^.]+$/,
  ...{ receivers: /^(secret|token)$/, integrations: /^key$/, heartbeats: /^ping$/, oncall: /^calendarUrl$/ },
};
const FIELD_TEXT: Readonly<Record<string, string>> = {
  ...{ channels: "fields, such as fields.token", receivers: "secret and token" },
  ...{ integrations: "key", heartbeats: "ping", oncall: "calendarUrl" },
};

const required = (flags: string, text: string) => new Option(flags, text).makeOptionMandatory();

/** `prism seal`. */
export function addSeal(program: Command): void {
  single(program, "seal", {
    text: "seal a secret for one place in configuration files, which only the server opens",
    about: `It reads the secret from stdin, or asks at a terminal, and prints v1:… for {sealed: "v1:…"}. The server opens it only
for this project, kind, name and field. With --key no server is asked.`,
    examples: [
      "--project duty --kind channels --name Room --field fields.url",
      "--project duty --kind receivers --name Grafana --field secret --key seal.key < secret.txt",
    ],
    flags: {
      project: required("--project <slug>", "its project"),
      kind: required("--kind <kind>", "key of its kind in files, such as channels"),
      name: required("--name <name>", "name of the object in files"),
      field: required("--field <path>", "member of the object, such as fields.url"),
      key: ["--key <file>", "file with the server's public key, as GET /api/v1/configuration/key answers"],
    },
    act: (context, flags) => seal(context, flags as unknown as SealFlags),
  });
}

async function seal(context: CommandContext, { key: file, project, kind, name, field }: SealFlags): Promise<void> {
  const { PROJECT_KINDS } = await import("../../../config/files/file-objects.ts");
  const kinds = Object.keys(PROJECT_KINDS);
  if (!kinds.includes(kind))
    throw new CommandError(EXIT.usage, `--kind: there is no kind ${printable(kind)}; known are ${kinds.join(", ")}`);
  const known = SECRET_FIELDS[kind];
  if (!known?.test(field)) {
    const members = known ? `its secrets are ${FIELD_TEXT[kind] ?? ""}` : "objects of the kind have no secrets";
    throw new CommandError(EXIT.usage, `--field: ${printable(field)} is no secret of ${printable(kind)}; ${members}`);
  }
  const { sealFor } = await import("../../../core/crypto/public-seal.ts");
  const key = file === undefined ? await keyOfServer(context) : keyIn(file);
  const secret = await readSecret(`Secret for ${field} of ${name}: `);
  const sealed = sealFor(key, { project, kind, name, field }, secret);
  context.out.result({ sealed }, () => sealed);
}

async function keyOfServer(context: CommandContext): Promise<string> {
  const { key } = await withServer(context, (server) => server.get<SealKey>("/api/v1/configuration/key"));
  return key;
}

/** The key alone, or the answer of the server. @throws CommandError 2 */
function keyIn(file: string): string {
  const text = readTextFile(file, "--key").trim();
  const key = text.startsWith("{") ? (parseJson(text, "--key", EXIT.usage) as SealKey).key : text;
  if (/^x25519:[A-Za-z0-9_-]{43}$/.test(key)) return key;
  throw new CommandError(EXIT.usage, `--key: ${file} has no public key of a server (x25519:…)`);
}
