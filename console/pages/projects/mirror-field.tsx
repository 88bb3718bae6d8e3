import type { ListedIncident, UpdateProject } from "../../../src/client/api-types.gen.ts";
import { api, type Page } from "../../app/api.ts";
import { type Mirror, SYSTEMS } from "../../app/mirror.tsx";
import { Fields } from "../../forms/fields.tsx";
import { type Edited, partOf } from "../../forms/use-resource.ts";
import { choices, confirm, Input, plural, Select } from "../../ui/index.ts";

type Settings = NonNullable<UpdateProject["settings"]>;

const OPTIONS = choices({ "": "Prism", ...SYSTEMS });
const HINT = "While it is another system, the project is a mirror: everything runs, and nothing is sent.";
/** Named in the question. */
const MOST_NAMED = 3;
const MOST_COUNTED = 100;

/** Which system notifies people, and its page. */
export function MirrorFields({ of: settings }: { readonly of: Edited<Settings> }) {
  const { mirror } = settings.values;
  const change = (next: Partial<Mirror>) => {
    const { from = "other", url = "" } = { ...mirror, ...next };
    settings.change({ mirror: { from, ...(url !== "" && { url }) } });
  };
  const from = (
    <Select
      value={mirror?.from ?? ""}
      options={OPTIONS}
      onChange={(value) =>
        value === "" ? settings.change({ mirror: null }) : change({ from: value as Mirror["from"] })
      }
    />
  );
  const url = <Input value={mirror?.url ?? ""} placeholder="https://" onChange={(text) => change({ url: text })} />;
  const of = partOf(settings, "mirror");
  return (
    <>
      <Fields
        of={of}
        show={[{ name: "from", label: "Who notifies people", hint: HINT, required: false, as: () => from }]}
      />
      {mirror && <Fields of={of} show={[{ name: "url", label: "Its web page", as: () => url }]} />}
    </>
  );
}

/** Such as `2 incidents are open (#1 DiskFull, #2 Latency)`; null: none is. */
async function openText(projectId: string): Promise<string | null> {
  const query = { projectId, state: "unresolved", limit: MOST_COUNTED };
  const { data } = await api.get<Page<ListedIncident>>("/incidents", query);
  if (data.length === 0) return null;
  const named = data.slice(0, MOST_NAMED).map(({ number, title }) => `#${number} ${title}`);
  const more = data.length > MOST_NAMED ? " and others" : "";
  const count =
    data.length === MOST_COUNTED
      ? `${MOST_COUNTED} or more incidents are`
      : plural(data.length, "incident is", "incidents are");
  return `${count} open (${named.join(", ")}${more})`;
}

/** Asks before a project with open incidents becomes a mirror. @returns whether it may */
export async function mayBeginMirror(projectId: string): Promise<boolean> {
  const open = await openText(projectId);
  if (open === null) return true;
  const text = `${open}: from now on Prism sends neither further steps nor the end.`;
  return confirm({ title: "Make it a mirror?", text, action: "Send nothing more" });
}

/** Asks before a mirror ends, with what pages people from then on. @returns whether it has ended */
export async function endMirror(projectId: string): Promise<boolean> {
  const open = await openText(projectId);
  const text =
    open === null
      ? "No incident is open. From the next alert on Prism pages people, and requests are no longer passed on."
      : `${open}: from their next step on they page people. Resolve those that are over first.`;
  const isSure = await confirm({ title: "End the mirror?", text, action: "End and page people", danger: true });
  if (isSure) await api.patch(`/projects/${projectId}?mayPage=true`, { settings: { mirror: null } });
  return isSure;
}
