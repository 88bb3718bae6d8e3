import type { Verb } from "../../resource.ts";
import { FILE_FLAGS, finishImport } from "./import-flags.ts";

/** `prism import healthchecks`. */
export const HEALTHCHECKS: Verb = {
  text: "turn projects, checks, integrations and accounts of Healthchecks into files",
  about: `Reads what manage.py dumpdata accounts api.check api.channel auth.user -o hc.json wrote, which every database
of Healthchecks can. Checks become heartbeats with the same URLs, integrations channels and policies, and accounts keep
their passwords. Nothing is stored: it writes files for prism user import, apply and import tokens.`,
  examples: ["hc.json --out healthchecks"],
  args: { file: ["<file>", "what manage.py dumpdata wrote"] },
  flags: { out: FILE_FLAGS.out, force: FILE_FLAGS.force },
  async act(context, { file, ...given }) {
    const [{ readHealthchecks }, { writeHealthchecks }] = await Promise.all([
      import("../../../remote/import/healthchecks/read.ts"),
      import("../../../remote/import/healthchecks/write.ts"),
    ]);
    await finishImport(context, writeHealthchecks(readHealthchecks(String(file))), given);
  },
};
