import type { CreateStatusNotice, StatusNotice } from "../../../src/client/api-types.gen.ts";
import { Fields } from "../../forms/fields.tsx";
import { statusNotice } from "../../forms/status-notice.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { choices, Dialog, Segmented, toast } from "../../ui/index.ts";

const KINDS = choices({ incident: "Disturbance", maintenance: "Planned maintenance" });

interface DialogProps {
  readonly projectId: string;
  readonly onPosted: () => void;
}

export function NoticeDialog({ projectId, onPosted }: DialogProps) {
  const form = useResource<CreateStatusNotice, StatusNotice>(statusNotice, {
    start: { kind: "incident" },
    given: { projectId },
  });
  const { kind } = form.values;
  const post = async () => {
    if ((await form.send()) === undefined) return false;
    toast.ok("The notice is posted.");
    onPosted();
  };
  const choose = (next: string) =>
    form.change(next === "maintenance" ? { kind: next } : { kind: "incident", startsAt: undefined, endsAt: undefined });
  return (
    <Dialog
      title="New notice"
      subtitle="Visitors see it at once; subscribers receive a mail."
      onSubmit={post}
      action="Post"
    >
      <div class="stack">
        <Segmented label="Kind" value={kind ?? ""} onChange={choose} options={KINDS} />
        <Fields of={form} show={["title", { name: "text", rows: 4 }]} />
        {kind === "maintenance" && (
          <div class="inline">
            <Fields of={form} show={["startsAt", { name: "endsAt", required: true }]} />
          </div>
        )}
      </div>
    </Dialog>
  );
}
