import { useState } from "preact/hooks";
import type { Setting } from "../../../../../src/client/api-types.gen.ts";
import { Button, RadioGroup } from "../../../../ui/index.ts";
import { notePhone, phoneNote } from "../skip.ts";
import { ChannelWay } from "./channel-way.tsx";
import { hasNtfyAddress } from "./ntfy-address.ts";
import { OwnNtfy } from "./own-ntfy.tsx";
import { PushWay } from "./push-way.tsx";
import { WAYS, type Way } from "./ways.ts";

interface PhoneStepProps {
  readonly setting: (key: string) => Setting | undefined;
  readonly onDone: () => void;
}

/** One way to the phone of the person who sets the server up, until it has rung. */
export function PhoneStep({ setting, onDone }: PhoneStepProps) {
  const [way, setWay] = useState<Way>(() => {
    const note = phoneNote();
    if (note !== null && note !== "skipped") return note;
    return hasNtfyAddress(setting) ? "own" : "ntfy";
  });
  const leave = (note: Way | "skipped") => {
    notePhone(note);
    onDone();
  };
  const rung = () => leave(way);
  const mail = setting("smtp.host")?.value == null ? "" : " and by mail";
  return (
    <div class="stack s5">
      <RadioGroup label="Reach me by" value={way} onChange={(value) => setWay(value as Way)} options={WAYS} />
      {way === "own" ? (
        <OwnNtfy setting={setting} onRung={rung} />
      ) : way === "push" ? (
        <PushWay onRung={rung} />
      ) : (
        <ChannelWay key={way} way={way} onRung={rung} />
      )}
      <div class="setup-actions">
        <Button variant="quiet" onClick={() => leave("skipped")}>
          Skip: no phone for now
        </Button>
        <span class="muted small">Prism then reaches you only in the inbox of the console{mail}.</span>
      </div>
    </div>
  );
}
