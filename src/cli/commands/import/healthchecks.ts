import { CommandError, EXIT } from "../../output/exit-codes.ts";
import type { Values, Verb } from "../../resource.ts";
import { API_FLAGS, FILE_FLAGS, finishImport, openSource } from "./import-flags.ts";

const { fromUrl, fromToken, record, fromRecording } = API_FLAGS;

/** `prism import healthchecks`. */
export const HEALTHCHECKS: Verb = {
  text: "turn projects, checks, integrations and accounts of Healthchecks into files",
  about: `Reads what manage.py dumpdata accounts api.check api.channel auth.user -o hc.json wrote, which every database
of Healthchecks can. Checks become heartbeats with the same URLs, integrations channels and policies, and accounts keep
their passwords. With --from-url it reads the checks of one project by the API, with a full key: integrations, accounts
and ping keys are not shown there. Nothing is stored: it writes files for prism user import, apply and import tokens.`,
  examples: [
    "hc.json --out healthchecks",
    "--from-url https://healthchecks.io --from-token @hc.key --project jobs --out healthchecks",
  ],
  args: { file: ["[file]", "what manage.py dumpdata wrote"] },
  flags: {
    ...{ out: FILE_FLAGS.out, force: FILE_FLAGS.force, fromUrl, fromToken, record, fromRecording },
    project: ["--project <slug>", "project of the checks of the API", "healthchecks"],
  },
  async act(context, { file, ...given }) {
    const hasApi = given["fromUrl"] !== undefined || given["fromRecording"] !== undefined;
    if ((file === undefined) !== hasApi)
      throw new CommandError(EXIT.usage, "give either a file of manage.py dumpdata, or --from-url <url>");
    await finishImport(context, hasApi ? await byApi(given) : await byFile(String(file)), given);
  },
};

async function byFile(file: string) {
  const { readHealthchecks } = await import("../../../remote/import/healthchecks/read.ts");
  const { writeHealthchecks } = await import("../../../remote/import/healthchecks/write.ts");
  return writeHealthchecks(readHealthchecks(file));
}

async function byApi(given: Values) {
  const { readHealthchecksApi, SECRET_MEMBERS } = await import("../../../remote/import/healthchecks/api.ts");
  const { writeHealthchecksOfApi } = await import("../../../remote/import/healthchecks/write.ts");
  const authorise = (token: string) => ({ "x-api-key": token });
  const source = await openSource(given, { authorise, secretMembers: SECRET_MEMBERS });
  return writeHealthchecksOfApi(await readHealthchecksApi(source, String(given["project"])));
}
