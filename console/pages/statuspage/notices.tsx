import { Megaphone } from "lucide";
import type { StatusNotice } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useList } from "../../app/query.ts";
import { ask, Badge, Button, Card, EmptyState, ErrorState, openDialog, Time, toast, UserText } from "../../ui/index.ts";
import { NoticeDialog } from "./notice-dialog.tsx";

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
