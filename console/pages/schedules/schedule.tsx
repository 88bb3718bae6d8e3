import type { PastRun, Schedule } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useStream } from "../../app/live.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { ManagedBadge } from "../../app/managed.tsx";
import { navigate } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { invalidate, useGet, useList } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  Button,
  Card,
  Code,
  type Column,
  DataTable,
  DescriptionList,
  Duration,
  EmptyState,
  formatRelative,
  openDialog,
  Page,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";
import { NextRuns } from "./next-runs.tsx";
import { ScheduleDialog } from "./schedule-dialog.tsx";
import { rhythmOf } from "./schedule-types.ts";

const TONES: Readonly<Record<string, "ok" | "bad" | "warn" | "info" | "plain">> = {
  succeeded: "ok",
  dead: "bad",
  retrying: "warn",
  skipped: "warn",
  running: "info",
};

const COLUMNS: readonly Column<PastRun>[] = [
  { label: "Due", cell: ({ at }) => <Time at={at} />, card: "title" },
  {
    label: "Result",
    cell: ({ state, count }) => (
      <Badge tone={TONES[state] ?? "plain"}>{count > 1 ? `${state}, ${count} times` : state}</Badge>
    ),
    card: "aside",
  },
  {
    label: "Why",
    cell: ({ explanation, error, trigger }) => (
      <UserText lines={1}>{explanation ?? error ?? (trigger === "manual" ? "Run by hand." : "")}</UserText>
    ),
    card: "text",
    width: "wide",
  },
  { label: "Took", cell: (run) => <Took run={run} />, align: "end" },
];

function Took({ run: { startedAt, finishedAt } }: { readonly run: PastRun }) {
  if (startedAt === null || finishedAt === null) return null;
  return <Duration ms={Date.parse(finishedAt) - Date.parse(startedAt)} />;
}

export default function SchedulePage({ params }: PageProps) {
  const query = useGet<Schedule>(`/schedules/${params["id"]}`);
  return (
    <LoadedPage title="Schedule" query={query} managedAs="jobs">
      {(schedule) => <ScheduleView schedule={schedule} />}
    </LoadedPage>
  );
}

function ScheduleView({ schedule }: { readonly schedule: Schedule }) {
  const runs = useList<PastRun>(`/schedules/${schedule.id}/runs`, { limit: 25 });
  const reload = () => invalidate(`/schedules/${schedule.id}`);
  useStream("system", ({ type }) => type === "jobs.changed" && reload(), reload);
  const changed = () => invalidate("/schedules");
  const next = schedule.nextRuns[0];
  return (
    <Page
      title={schedule.name}
      subtitle={
        next && schedule.active
          ? `Runs ${formatRelative(next.at)}: ${rhythmOf(schedule)}.`
          : `Off: ${rhythmOf(schedule)}.`
      }
      breadcrumb={[{ label: "Schedules", href: href("/schedules") }]}
      badge={
        <>
          <Badge tone={schedule.active ? "ok" : "plain"}>{schedule.active ? "active" : "off"}</Badge>
          <ManagedBadge kind="jobs" id={schedule.id} />
        </>
      }
      actions={
        can("jobs:manage") ? (
          <Actions
            schedule={schedule}
            changed={changed}
            onEdit={() => openDialog(<ScheduleDialog known={schedule} />)}
          />
        ) : undefined
      }
    >
      <div class="two">
        <Card title="Runs" flush>
          <DataTable<PastRun>
            bare
            label="Runs"
            list={runs}
            rowKey={(run) => `${run.at} ${run.jobId} ${run.state}`}
            columns={COLUMNS}
            onOpen={(run) => run.jobId !== null && navigate(`/jobs/${run.jobId}`)}
            empty={
              <EmptyState
                small
                title="It has not run yet"
                text="Runs appear here, also those that were skipped and why."
              />
            }
          />
        </Card>
        <div class="stack">
          <Card title="Next runs">
            <NextRuns runs={schedule.active ? schedule.nextRuns : []} />
          </Card>
          <Card title="Job">
            <DescriptionList
              items={[
                { label: "Queue", value: schedule.queue },
                { label: "Kind", value: <span class="mono">{schedule.kind}</span> },
                {
                  label: "Missed runs",
                  value: { skip: "are skipped", once: "run once", all: "all run" }[schedule.missed],
                },
                { label: "Overlapping runs", value: { skip: "are skipped", allow: "run" }[schedule.overlap] },
              ]}
            />
            <Code label="Payload" value={schedule.payload} depth={4} />
          </Card>
        </div>
      </div>
    </Page>
  );
}

interface ActionProps {
  readonly schedule: Schedule;
  readonly changed: () => void;
  readonly onEdit: () => void;
}

function Actions({ schedule, changed, onEdit }: ActionProps) {
  const path = `/schedules/${schedule.id}`;
  const run = async () => {
    await api.post(`${path}/run`);
    toast.ok("It runs now.");
    changed();
  };
  const toggle = async () => {
    await api.put(path, { active: !schedule.active });
    changed();
  };
  const remove = async () => {
    const text = "Jobs that it enqueued continue.";
    await confirmDelete(path, { title: `Delete ${schedule.name}?`, text }, () => {
      changed();
      navigate("/schedules");
    });
  };
  return (
    <>
      {schedule.module === null && (
        <Button variant="danger" onClick={remove}>
          Delete
        </Button>
      )}
      <Button onClick={toggle}>{schedule.active ? "Disable" : "Enable"}</Button>
      {schedule.module === null && <Button onClick={onEdit}>Change</Button>}
      <Button variant="primary" onClick={run}>
        Run now
      </Button>
    </>
  );
}
