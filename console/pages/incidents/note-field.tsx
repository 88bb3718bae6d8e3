import { useState } from "preact/hooks";
import type { Incident } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { me } from "../../app/session.ts";
import { Button, Field, Textarea, toast, useLatest } from "../../ui/index.ts";
import { changed } from "./incident-actions.tsx";

const MAX_LENGTH = 4000;
const keyOf = (id: string): string => `prism.note-draft.${me.peek()?.id}.${id}`;

/** In this tab only: a note belongs to its author. */
function keptNote(id: string): string {
  try {
    return sessionStorage.getItem(keyOf(id)) ?? "";
  } catch {
    return "";
  }
}

function keepNote(id: string, text: string): void {
  try {
    if (text === "") sessionStorage.removeItem(keyOf(id));
    else sessionStorage.setItem(keyOf(id), text);
  } catch {
    // With a full storage the draft lives as long as the page.
  }
}

/** Brings the user to the note of the page. */
export function focusNote(): void {
  const field = document.querySelector<HTMLTextAreaElement>(".note-field textarea");
  field?.scrollIntoView({ block: "center" });
  field?.focus();
}

/** A note for the timeline. What is typed stays in this tab until it is sent. */
export function NoteField({ incident: { id } }: { readonly incident: Pick<Incident, "id"> }) {
  const [text, setText] = useState(() => keptNote(id));
  const [isSending, setSending] = useState(false);
  const latest = useLatest(text);
  const change = (next: string) => {
    setText(next);
    keepNote(id, next);
  };
  const send = async () => {
    const sent = text.trim();
    if (sent === "" || isSending) return;
    setSending(true);
    try {
      await api.post(`/incidents/${id}/notes`, { text: sent });
      // What was typed meanwhile is the next note.
      if (latest.current === text) change("");
      changed();
    } catch (error) {
      toast.error(error);
    } finally {
      setSending(false);
    }
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    void send();
  };
  const submit = (event: Event) => {
    event.preventDefault();
    void send();
  };
  return (
    <form class="note-field" aria-label="Note" onSubmit={submit} onKeyDown={onKeyDown}>
      <Field label="Note" hint="It is added to the timeline; no one is notified. Ctrl Enter sends it.">
        <Textarea value={text} onChange={change} rows={2} maxLength={MAX_LENGTH} autoGrow />
      </Field>
      <Button type="submit" disabled={text.trim() === "" || isSending}>
        Add note
      </Button>
    </form>
  );
}
