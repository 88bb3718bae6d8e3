import { join } from "node:path";
import { secretsFileText } from "../../../config/files/secrets-file.ts";
import { PRESETS } from "../../../features/channels/presets/index.ts";
import { requireTranslated } from "../../../features/protocols/alertmanager/import/apply.ts";
import type { ImportedConfiguration } from "../../../features/protocols/alertmanager/import/configuration.ts";
import { filesOf } from "../../../features/protocols/alertmanager/import/files.ts";
import type { ImportNote } from "../../../features/protocols/alertmanager/import/yaml-file.ts";
import { freeVariable } from "../../../features/records/configuration/secrets.ts";
import {
  earlierFiles,
  listWritten,
  markOf,
  requireOwn,
  SECRETS_FILE,
  write,
} from "../../../remote/import/earlier-files.ts";
import { makeFolder, writing } from "../../../remote/import/files.ts";
import type { CommandContext } from "../../context.ts";
import { EXIT } from "../../output/exit-codes.ts";
import { printable } from "../../output/output.ts";

const FROM = "alertmanager";

interface Flags {
  readonly out: string;
  readonly project: string;
  readonly force?: boolean;
  readonly allowEmpty?: boolean;
}

/** Writes configuration files, and the secrets of the old file beside them. @throws CommandError 1, 7 */
export async function writeFiles(
  { out }: CommandContext,
  configuration: ImportedConfiguration,
  { out: folder, project, force = false, allowEmpty = false }: Flags,
): Promise<void> {
  const { left, changed, place, receivers } = configuration;
  if (!allowEmpty) requireTranslated(left, place);
  const taken = new Set<string>();
  const variableFor = (...words: readonly string[]) => freeVariable(taken, ...words);
  const { document, secrets } = filesOf(configuration, { project, isSecret, variableFor });
  const { stringify } = await import("yaml");
  const mark = markOf(FROM);
  const texts = new Map([[`${encodeURIComponent(project)}.yaml`, `${mark}${stringify(document)}`]]);
  if (secrets.size > 0) texts.set(SECRETS_FILE, `${mark}${secretsFileText(secrets)}`);
  writing(folder, () => {
    makeFolder(folder);
    if (!force) requireOwn(folder, FROM, [...texts.keys()]);
    for (const [name, text] of texts) write(join(folder, name), text, name === SECRETS_FILE);
    // Other projects may have files there.
    listWritten(folder, FROM, texts, earlierFiles(folder, FROM));
  });
  const report = { out: folder, files: [...texts.keys()], policies: receivers.map(({ name }) => name) };
  out.result({ ...report, variables: [...secrets.keys()], changed, notTranslated: left }, () => [
    ...report.files.map((name) => printable(join(folder, name))),
    `prism check -f ${printable(folder)}`,
    `prism apply -f ${printable(folder)}${secrets.size > 0 ? ` --secrets-file ${printable(join(folder, SECRETS_FILE))}` : ""}`,
  ]);
  const users = [...new Set(receivers.flatMap(({ addresses }) => addresses.map(({ address }) => address)))];
  if (users.length > 0)
    out.note(`must be users of the server and members of the project: ${printable(users.join(", "))}`);
  const textOf = ({ path, message }: ImportNote): string => printable(`${place(path)}${path}: ${message}`);
  for (const note of changed) out.note(`changed: ${textOf(note)}`);
  for (const note of left) out.note(`not translated: ${textOf(note)}`);
  if (left.length > 0) process.exitCode = EXIT.checkFailed;
}

function isSecret(preset: string, field: string): boolean {
  const known = PRESETS.find(({ name }) => name === preset)?.fields.find(({ key }) => key === field);
  return known === undefined || known.secret === true;
}
