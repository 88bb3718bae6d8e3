import type { Verb } from "../../resource.ts";
import { FILE_FLAGS, finishImport } from "./import-flags.ts";

/** `prism import uptime-kuma`. */
export const UPTIME_KUMA: Verb = {
  text: "turn push monitors, notifications, maintenance and the status page of Uptime Kuma into files",
  about: `Reads kuma.db, which is copied before it is read, so that Uptime Kuma may run meanwhile; or, for MariaDB, a
directory with a file <table>.tsv of each table, which mariadb -B -e 'select * from <table>' prints. Push monitors become
heartbeats with the same URL; others stay in Uptime Kuma and send to a receiver. Nothing is stored: it writes files.`,
  examples: ["/app/data/kuma.db --out kuma"],
  args: { file: ["<file>", "kuma.db, or a directory with tables of MariaDB"] },
  flags: { ...FILE_FLAGS, project: ["--project <slug>", "project of the monitors", "uptime-kuma"] },
  async act(context, { file, ...given }) {
    const [{ readKuma }, { writeKuma }] = await Promise.all([
      import("../../../remote/import/uptime-kuma/read.ts"),
      import("../../../remote/import/uptime-kuma/write.ts"),
    ]);
    await finishImport(context, writeKuma(await readKuma(String(file)), { project: String(given["project"]) }), given);
  },
};
