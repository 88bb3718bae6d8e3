import { Trash2, Volume2 } from "lucide";
import type { Sound } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { invalidate, useList } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Bytes,
  Card,
  confirm,
  DataTable,
  EmptyState,
  FileDrop,
  IconButton,
  Link,
  Page,
  plural,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";
import { PlayButton } from "../rules/play-button.tsx";

const MAX_BYTES = 5 * 1024 * 1024;
const PATH = "/sounds";

/** The sounds that rules can play: upload, listen, delete. */
export default function SoundsPage() {
  const list = useList<Sound>(PATH, { limit: 50 });
  const isWritable = can("sounds:write");
  const shown = list.items?.length ?? 0;
  const used = list.items?.filter(({ rules }) => rules > 0).length ?? 0;
  return (
    <Page
      title="Sounds"
      subtitle={
        list.items === undefined
          ? "What notifications sound like."
          : shown === 0
            ? "No sounds yet: every notification has the device's own sound."
            : `${plural(shown, "sound")}${list.hasMore ? " or more" : ""}, ${used} used by rules. A rule chooses its sound.`
      }
    >
      <div class="stack">
        {isWritable && (
          <Card title="Upload">
            <FileDrop
              label="Drop sounds here, or choose files"
              hint="MP3, Ogg or WAV of up to 5 MiB. The name identifies it in rules."
              accept=".mp3,.ogg,.wav,audio/*"
              multiple
              maxBytes={MAX_BYTES}
              onFiles={upload}
            />
          </Card>
        )}
        <DataTable<Sound>
          label="Sounds"
          list={list}
          columns={[
            { label: "Name", width: "wide", cell: ({ filename }) => <UserText lines={1}>{filename}</UserText> },
            { label: "Size", align: "end", cell: ({ bytes }) => <Bytes n={bytes} /> },
            { label: "Used by", cell: (sound) => <UsedBy sound={sound} /> },
            { label: "Uploaded", priority: 2, width: "min", cell: ({ createdAt }) => <Time at={createdAt} /> },
          ]}
          rowActions={(sound) => (
            <span class="inline">
              <PlayButton url={sound.url} name={sound.filename} />
              {isWritable && (
                <IconButton
                  small
                  icon={Trash2}
                  variant="danger"
                  label={`Delete ${sound.filename}`}
                  onClick={() => remove(sound)}
                />
              )}
            </span>
          )}
          more={{ has: list.hasMore, load: list.more, shown }}
          empty={
            <EmptyState
              icon={Volume2}
              title="No sounds yet"
              text="Sounds that you upload can be chosen in a rule, so that an urgent notification sounds different."
            />
          }
        />
      </div>
    </Page>
  );
}

function UsedBy({ sound: { filename, rules } }: { readonly sound: Sound }) {
  if (rules === 0) return <span class="faint">no rule</span>;
  return <Link href={href(`/rules?sound=${encodeURIComponent(filename)}`)}>{plural(rules, "rule")}</Link>;
}

/** Uploads one file after the other; those before a refused one stay. */
async function upload(files: readonly File[]): Promise<void> {
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

async function remove({ id, filename, rules }: Sound): Promise<void> {
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
