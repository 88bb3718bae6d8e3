import { ClipboardCopy, FileDown } from "lucide";
import type { PostMortem } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { canInProject } from "../../app/memberships.ts";
import { saveFile } from "../../app/save-file.ts";
import { copyText, type MenuItem, toast } from "../../ui/index.ts";

interface Of {
  readonly id: string;
  readonly number: number;
}

const read = ({ id }: Of) => api.get<PostMortem>(`/incidents/${id}/post-mortem`);

async function copy(incident: Of): Promise<void> {
  const { markdown } = await read(incident);
  if (await copyText(markdown)) toast.ok("The post-mortem is copied as Markdown.");
  else toast.error("The browser does not let this page copy. Download the post-mortem instead.");
}

async function save(incident: Of, ending: "md" | "json"): Promise<void> {
  const { markdown, ...facts } = await read(incident);
  const [text, type] =
    ending === "md" ? [markdown, "text/markdown"] : [JSON.stringify(facts, null, 2), "application/json"];
  saveFile(new Blob([text], { type }), `incident-${incident.number}.${ending}`);
}

/** The beginning of a post-mortem as text, for who reads the project. */
export function postMortemItems(incident: Of): readonly MenuItem[] {
  if (canInProject("events:read") !== true) return [];
  return [
    { label: "Copy post-mortem", icon: ClipboardCopy, onSelect: () => copy(incident) },
    { label: "Download as Markdown", icon: FileDown, onSelect: () => save(incident, "md") },
    { label: "Download as JSON", icon: FileDown, onSelect: () => save(incident, "json") },
  ];
}
