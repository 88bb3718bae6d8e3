import type { Job } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useStream } from "../../app/live.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import type { PageProps } from "../../app/page-module.ts";
import { PersonName } from "../../app/person-name.tsx";
import { invalidate, useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  Banner,
  Button,
  Card,
  Code,
  confirm,
  DescriptionList,
  formatDuration,
  Page,
  Progress,
  Time,
  Timeline,
  toast,
  UserText,
} from "../../ui/index.ts";
import { ACTIONS, type Attempt, type BulkAction, STATES } from "./job-types.ts";

interface JobDetail extends Job {
  readonly history: readonly Attempt[];
}

const OUTCOMES = {
  running: { tone: "info", text: "runs" },
  succeeded: { tone: "ok", text: "succeeded" },
  retrying: { tone: "warn", text: "failed, retried later" },
  dead: { tone: "bad", text: "failed for good" },
  lost: { tone: "warn", text: "lost: its process ended" },
} as const;

export default function JobPage({ params }: PageProps) {
  const query = useGet<JobDetail>(`/jobs/${params["id"]}`);
  useStream("system", ({ type }) => (type === "jobs.changed" || type === "job.dead") && query.reload(), query.reload);
  return (
    <LoadedPage title="Job" query={query}>
      {(job) => <JobView job={job} />}
    </LoadedPage>
  );
}

function JobView({ job }: { readonly job: JobDetail }) {
  const state = STATES[job.state];
  const actions = can("jobs:manage") ? ACTIONS.filter(({ states }) => states.includes(job.state)) : [];
  const act = async (action: BulkAction) => {
    if (action.isDangerous) {
      const text = action.text
        .replaceAll("They", "It")
        .replace("do not", "does not")
        .replace("are removed", "is removed");
      if (!(await confirm({ title: `${action.label} this job?`, text, action: action.label, danger: true }))) return;
    }
    if (action.name === "delete") {
      await api.del(`/jobs/${job.id}`);
      history.back();
    } else await api.post(`/jobs/${job.id}/${action.name}`);
    toast.ok(`${action.label}: done.`);
    invalidate("/jobs", "/queues", "/attention");
  };
  return (
    <Page
      title={job.label ?? job.kind}
      subtitle={subtitleOf(job)}
      breadcrumb={[{ label: "Jobs", href: href("/jobs") }]}
      badge={<Badge {...state} />}
      actions={actions.map((action) => (
        <Button
          key={action.name}
          variant={action.name === "retry" ? "primary" : action.isDangerous ? "danger" : "default"}
          onClick={() => act(action)}
        >
          {action.label}
        </Button>
      ))}
    >
      {job.lastError !== null && job.state !== "succeeded" && (
        <Banner tone={job.state === "dead" ? "bad" : "warn"} title="Last error">
          <UserText>{job.lastError}</UserText>
        </Banner>
      )}
      <div class="two">
        <div class="stack">
          <Card title="Payload">
            <Code label="Payload" value={job.payload} depth={4} />
          </Card>
          {job.result !== null && (
            <Card title="Result">
              <Code label="Result" value={job.result} />
            </Card>
          )}
          <Card title="Attempts">
            <Attempts attempts={job.history} />
          </Card>
        </div>
        <Card title="Job">
          {typeof job.progress === "number" && <Progress label="Progress" value={job.progress} max={100} showValue />}
          <DescriptionList items={factsOf(job)} />
        </Card>
      </div>
    </Page>
  );
}

function subtitleOf(job: JobDetail): string {
  const attempts = `attempt ${job.attempts} of ${job.maxAttempts}`;
  if (job.state === "scheduled") return `${job.kind} of the queue ${job.queue} waits for its time.`;
  return `${job.kind} of the queue ${job.queue}, ${attempts}.`;
}

function factsOf(job: JobDetail) {
  return [
    { label: "Queue", value: <a href={href(`/jobs?queue=${encodeURIComponent(job.queue)}`)}>{job.queue}</a> },
    { label: "Kind", value: <span class="mono">{job.kind}</span> },
    { label: "Id", value: <span class="mono">{job.id}</span> },
    { label: "Priority", value: job.priority },
    { label: "Created", value: <Time at={job.createdAt} mode="full" /> },
    { label: "Created by", value: <PersonName id={job.createdBy} /> },
    { label: "Runs at", value: <Time at={job.runAt} mode="full" /> },
    { label: "Ended", value: <Time at={job.finishedAt} mode="full" empty="not yet" /> },
    ...(job.scheduleId === null
      ? []
      : [{ label: "Schedule", value: <a href={href(`/schedules/${job.scheduleId}`)}>Show</a> }]),
    ...(job.progress === null || typeof job.progress === "number"
      ? []
      : [{ label: "Progress", value: <Code value={job.progress} /> }]),
  ];
}

function Attempts({ attempts }: { readonly attempts: readonly Attempt[] }) {
  if (attempts.length === 0) return <p class="muted">It has not run yet.</p>;
  const items = attempts.map(({ attempt, outcome, startedAt, endedAt, error, worker }) => ({
    key: String(attempt),
    tone: OUTCOMES[outcome].tone,
    title: `Attempt ${attempt} ${OUTCOMES[outcome].text}`,
    time: <Time at={startedAt} mode="clock-ms" />,
    sub: [
      endedAt === null ? "" : `took ${formatDuration(Date.parse(endedAt) - Date.parse(startedAt))}`,
      // Processes of this server have a random id.
      worker.length === 36 ? "" : `on ${worker}`,
    ]
      .filter(Boolean)
      .join(", "),
    children: error === null ? undefined : <UserText mono>{error}</UserText>,
  }));
  return <Timeline label="Attempts" items={items} />;
}
