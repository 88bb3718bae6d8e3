import type { Queue } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { Button, confirm, Menu, plural, toast } from "../../ui/index.ts";

export function QueueActions({ queue, onDone }: { readonly queue: Queue; readonly onDone: () => void }) {
  const { name, paused, dead, ready, scheduled, retrying } = queue;
  const path = `/queues/${encodeURIComponent(name)}`;
  const pause = async () => {
    const text = "Running jobs finish. Others wait until the queue is resumed, also after a restart.";
    if (!(await confirm({ title: `Pause ${name}?`, text, action: "Pause" }))) return;
    await api.post(`${path}/pause`);
    toast.ok(`${name} is paused.`, { undo: resume });
    onDone();
  };
  const resume = async () => {
    await api.post(`${path}/resume`);
    toast.ok(`${name} runs again.`);
    onDone();
  };
  const requeue = async () => {
    const title = `Retry ${plural(dead, "dead job")} of ${name}?`;
    if (!(await confirm({ title, text: "They run again, with all attempts.", action: `Retry ${dead}` }))) return;
    await api.post(`${path}/requeue-dead`);
    onDone();
  };
  const drain = async () => {
    const waiting = ready + scheduled + retrying;
    const title = `Cancel ${plural(waiting, "waiting job")} of ${name}?`;
    const text = "They do not run. Running jobs finish.";
    if (!(await confirm({ title, text, action: "Cancel them", danger: true, typed: name }))) return;
    await api.post(`${path}/drain`);
    onDone();
  };
  return (
    <>
      <Button small onClick={paused ? resume : pause}>
        {paused ? "Resume" : "Pause"}
      </Button>
      <Menu
        label={`More for ${name}`}
        small
        items={[
          { label: "Retry dead jobs", onSelect: requeue, disabled: dead === 0 },
          { label: "Cancel waiting jobs", onSelect: drain, danger: true, disabled: ready + scheduled + retrying === 0 },
        ]}
      />
    </>
  );
}
