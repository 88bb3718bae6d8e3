import { Megaphone } from "lucide";
import type { CreateStatusNotice, StatusNotice } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useList } from "../../app/query.ts";
import { Fields } from "../../forms/fields.tsx";
import { statusNotice } from "../../forms/status-notice.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import {
  ask,
  Badge,
  Button,
  Card,
  choices,
  Dialog,
  EmptyState,
  ErrorState,
  openDialog,
  Segmented,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";

interface Props {
  readonly projectId: string;
  readonly mayWrite: boolean;
}

const STEPS = ["identified", "monitoring", "resolved"];

function isOver({ state }: StatusNotice): boolean {
  return state === "resolved" || state === "completed";
}

/** Announcements of the page. */
export function Notices({ projectId, mayWrite }: Props) {
  const list = useList<StatusNotice>("/status-page/notices", { projectId, limit: 20 });
  const update = async (notice: StatusNotice, state: string) => {
    const text = await ask({
      title: notice.title,
      label: "Text for visitors",
      action: "Post",
      required: true,
      multiline: true,
    });
    if (text === undefined) return;
    await api.patch(`/status-page/notices/${notice.id}`, { state, text });
    toast.ok("The update is posted.");
    list.reload();
  };
  const remove = async (notice: StatusNotice) => {
    const text = "The notice and its updates disappear from the page. Mails that were sent stay sent.";
    await confirmDelete(
      `/status-page/notices/${notice.id}`,
      { title: `Remove "${notice.title}"?`, text, action: "Remove" },
      list.reload,
    );
  };
  return (
    <Card
      title="Notices"
      actions={
        mayWrite && (
          <Button
            small
            icon={Megaphone}
            onClick={() => openDialog(<NoticeDialog projectId={projectId} onPosted={list.reload} />)}
          >
            New notice
          </Button>
        )
      }
    >
      <div class="stack">
        {list.error && <ErrorState small error={list.error} retry={list.reload} />}
        {list.items?.length === 0 && (
          <EmptyState
            small
            title="No notices"
            text="Announce a disturbance or planned work to visitors and subscribers."
          />
        )}
        {list.items?.map((notice) => (
          <div class="stack s2" key={notice.id}>
            <div class="spread">
              <strong>
                <UserText>{notice.title}</UserText>
              </strong>
              <Badge tone={isOver(notice) ? "plain" : notice.kind === "incident" ? "bad" : "info"}>
                {notice.state.replace("_", " ")}
              </Badge>
            </div>
            <UserText lines={3}>{notice.updates.at(-1)?.text ?? ""}</UserText>
            <span class="muted small">
              <Time at={notice.startsAt} />
            </span>
            {mayWrite && (
              <div class="inline">
                {!isOver(notice) &&
                  (notice.kind === "incident" ? STEPS : ["completed"])
                    .filter((state) => state !== notice.state)
                    .map((state) => (
                      <Button small key={state} onClick={() => update(notice, state)}>
                        {state}
                      </Button>
                    ))}
                <Button small variant="danger" onClick={() => remove(notice)}>
                  Remove
                </Button>
              </div>
            )}
          </div>
        ))}
      </div>
    </Card>
  );
}

const KINDS = choices({ incident: "Disturbance", maintenance: "Planned maintenance" });

interface DialogProps {
  readonly projectId: string;
  readonly onPosted: () => void;
}

function NoticeDialog({ projectId, onPosted }: DialogProps) {
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
