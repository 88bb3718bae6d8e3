import type { Sound } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { invalidate } from "../../app/query.ts";
import { confirm, plural, toast } from "../../ui/index.ts";

const PATH = "/sounds";

/** Uploads one file after the other; those before a refused one stay. */
export async function upload(files: readonly File[]): Promise<void> {
  for (const file of files) {
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      const extra = { contentType: "application/octet-stream", limitMs: null };
      await api.post(PATH, bytes, { filename: nameOf(file) }, extra);
      toast.ok(`${nameOf(file)} is uploaded`);
    } finally {
      invalidate(PATH);
    }
  }
}

/** The server allows letters of A to Z, digits, spaces and _ . - */
function nameOf({ name }: File): string {
  return (
    name
      .normalize("NFKD")
      .replaceAll(/[^\w .-]/g, "")
      .trim() || "sound"
  );
}

/** Asks, and says which rules use it. */
export async function remove({ id, filename, rules }: Sound): Promise<void> {
  const isSure = await confirm({
    title: `Delete ${filename}?`,
    text:
      rules === 0
        ? "No rule uses it. The file is removed."
        : `${plural(rules, "rule")} ${rules === 1 ? "uses" : "use"} it: notifications will have the device's own sound.`,
    action: "Delete sound",
    danger: true,
  });
  if (!isSure) return;
  await api.del(`${PATH}/${id}`, rules > 0 ? { force: true } : {});
  invalidate(PATH);
  toast.ok(`${filename} is deleted`);
}
