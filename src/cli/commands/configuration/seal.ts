import { type Command, Option } from "commander";
import type { FileObject } from "../../../config/files/file-objects.ts";
import type { ServiceAddresses } from "../../../config/files/sealed-members.ts";
import type { CommandContext } from "../../context.ts";
import { parseJson, readTextFile } from "../../files.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { collectFlag } from "../../output/flag-values.ts";
import { printable } from "../../output/output.ts";
import { single } from "../../resource.ts";
import { withServer } from "../../with-server.ts";
import { readSecret } from "../access/prompt.ts";
import { readFiles, refusalOf } from "./given-files.ts";

interface SealFlags {
  readonly file: readonly string[];
  readonly project?: string;
  readonly kind: string;
  readonly name: string;
  readonly field: string;
  readonly key?: string;
}

/** Of the server; the key alone is enough for what is sent to no address. */
interface SealKey {
  readonly key: string;
  readonly addresses?: Readonly<Record<string, ServiceAddresses>>;
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

/** Its secrets are sent to the address of the channel. */
const WITH_ADDRESSES = "channels";

const required = (flags: string, text: string) => new Option(flags, text).makeOptionMandatory();

/** `prism seal`. */
export function addSeal(program: Command): void {
  single(program, "seal", {
    text: "seal a secret for one object of configuration files, which only the server opens",
    about: `It reads the secret from stdin, or asks at a terminal, and prints v1:… for {sealed: "v1:…"}. The object is looked up in
the files: the server opens the secret only for this project, kind, name and field, with its preset and its addresses
as they are there. Where an address is a secret, too, seal it first. With --key no server is asked.`,
    examples: [
      "-f oncall --kind channels --name Room --field fields.token",
      "-f oncall --kind receivers --name Grafana --field secret --key seal.json < secret.txt",
    ],
    flags: {
      file: required("-f, --file <path>", "directory or file with the object; repeatable").argParser(collectFlag),
      project: ["--project <slug>", "its project, if several have such an object"],
      kind: required("--kind <kind>", "key of its kind in files, such as channels"),
      name: required("--name <name>", "name of the object in files"),
      field: required("--field <path>", "member of the object, such as fields.url"),
      key: ["--key <file>", "file with the answer of GET /api/v1/configuration/key"],
    },
    act: (context, flags) => seal(context, flags as unknown as SealFlags),
  });
}

async function seal(context: CommandContext, flags: SealFlags): Promise<void> {
  const { key: file, kind, name, field } = flags;
  const { PROJECT_KINDS } = await import("../../../config/files/file-objects.ts");
  const kinds = Object.keys(PROJECT_KINDS);
  if (!kinds.includes(kind))
    throw new CommandError(EXIT.usage, `--kind: there is no kind ${printable(kind)}; known are ${kinds.join(", ")}`);
  const known = SECRET_FIELDS[kind];
  if (!known?.test(field)) {
    const members = known ? `its secrets are ${FIELD_TEXT[kind] ?? ""}` : "objects of the kind have no secrets";
    throw new CommandError(EXIT.usage, `--field: ${printable(field)} is no secret of ${printable(kind)}; ${members}`);
  }
  const { project = "", spec } = await objectOf(flags);
  const { sealFor } = await import("../../../core/crypto/public-seal.ts");
  const { key, addresses } = file === undefined ? await keyOfServer(context) : keyIn(file, kind);
  const { addressesOf, boundMembers } = await import("../../../config/files/sealed-members.ts");
  const { bound, unsealed } = boundMembers({
    kind,
    spec,
    field,
    addresses: addressesOf(kind, spec, addresses?.[kind]),
  });
  if (unsealed !== undefined) {
    const message = `${unsealed} of ${name} is not in the files: the secret is sent there, so seal ${unsealed} first`;
    throw new CommandError(EXIT.conflict, printable(message));
  }
  const secret = await readSecret(`Secret for ${field} of ${name}: `);
  const sealed = sealFor(key, { project, kind, name, field, bound }, secret);
  context.out.result({ sealed }, () => sealed);
}

/** @throws CommandError 6 for none, 2 for several, 7 for files that are not valid */
async function objectOf({ file, project, kind, name }: SealFlags): Promise<FileObject> {
  const { objects, problems } = await readFiles(file);
  if (problems.length > 0) throw refusalOf(problems);
  const found = objects.filter(
    (each) => each.kind === kind && each.spec["name"] === name && (project ?? each.project) === each.project,
  );
  const [object] = found;
  const [what, where] = [printable(`${kind} ${JSON.stringify(name)}`), printable(project ?? "any project")];
  if (!object) throw new CommandError(EXIT.notFound, `the files have no ${what} in ${where}: write it, then seal`);
  if (found.length === 1) return object;
  const slugs = found.map((each) => printable(each.project ?? "")).join(", ");
  throw new CommandError(EXIT.usage, `--project: ${what} is in ${slugs}; name one of them`);
}

function keyOfServer(context: CommandContext): Promise<SealKey> {
  return withServer(context, (server) => server.get<SealKey>("/api/v1/configuration/key"));
}

/** The answer of the server, or the key alone. @throws CommandError 2 */
function keyIn(file: string, kind: string): SealKey {
  const text = readTextFile(file, "--key").trim();
  const given = text.startsWith("{") ? (parseJson(text, "--key", EXIT.usage) as SealKey) : { key: text };
  if (!/^x25519:[A-Za-z0-9_-]{43}$/.test(given.key))
    throw new CommandError(EXIT.usage, `--key: ${file} has no public key of a server (x25519:…)`);
  if (kind !== WITH_ADDRESSES || given.addresses) return given;
  const answer = "the whole answer of GET /api/v1/configuration/key, which also has the addresses of presets";
  throw new CommandError(EXIT.usage, `--key: for a channel ${file} must have ${answer}`);
}
