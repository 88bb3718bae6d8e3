import { Trash2, Volume2 } from "lucide";
import type { Sound } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { can } from "../../app/session.ts";
import { Bytes, Card, type Column, FileDrop, IconButton, Link, plural, Time, UserText } from "../../ui/index.ts";
import { PlayButton } from "../rules/play-button.tsx";
import { remove, upload } from "./sound-actions.ts";

const MAX_BYTES = 5 * 1024 * 1024;

const COLUMNS: readonly Column<Sound>[] = [
  { label: "Name", width: "wide", cell: ({ filename }) => <UserText lines={1}>{filename}</UserText> },
  { label: "Size", align: "end", cell: ({ bytes }) => <Bytes n={bytes} /> },
  { label: "Used by", cell: (sound) => <UsedBy sound={sound} /> },
  { label: "Uploaded", priority: 2, width: "min", cell: ({ createdAt }) => <Time at={createdAt} /> },
];

function UsedBy({ sound: { filename, rules } }: { readonly sound: Sound }) {
  if (rules === 0) return <span class="faint">no rule</span>;
  return <Link href={href(`/rules?sound=${encodeURIComponent(filename)}`)}>{plural(rules, "rule")}</Link>;
}

const EMPTY = {
  icon: Volume2,
  title: "No sounds yet",
  text: "Sounds that you upload can be chosen in a rule, so that an urgent notification sounds different.",
};

function subtitleOf(sounds: readonly Sound[] | undefined, hasMore: boolean): string {
  if (sounds === undefined) return "What notifications sound like.";
  if (sounds.length === 0) return "No sounds yet: every notification has the device's own sound.";
  const used = sounds.filter(({ rules }) => rules > 0).length;
  return `${plural(sounds.length, "sound")}${hasMore ? " or more" : ""}, ${used} used by rules. A rule chooses its sound.`;
}

/** The sounds that rules can play: upload, listen, delete. */
export default function SoundsPage() {
  const list = useListOf<Sound>("/sounds", {});
  const isWritable = can("sounds:write");
  return (
    <ListPage<Sound>
      of={list}
      title="Sounds"
      subtitle={subtitleOf(list.items, list.hasMore)}
      noun="sound"
      columns={COLUMNS}
      rowActions={(sound) => <Actions sound={sound} isWritable={isWritable} />}
      empty={EMPTY}
    >
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
    </ListPage>
  );
}

function Actions({ sound, isWritable }: { readonly sound: Sound; readonly isWritable: boolean }) {
  const { url, filename } = sound;
  const label = `Delete ${filename}`;
  return (
    <span class="inline">
      <PlayButton url={url} name={filename} />
      {isWritable && <IconButton small icon={Trash2} variant="danger" label={label} onClick={() => remove(sound)} />}
    </span>
  );
}
