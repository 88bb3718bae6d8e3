import type { FullPreferences } from "../../../src/client/api-types.gen.ts";
import { Checkbox } from "../../ui/index.ts";
import { CHANNELS, type Channel } from "./channels.ts";

const ALL = CHANNELS.map(({ value }) => value);

const KINDS = [
  { value: "rule", label: "Rules" },
  { value: "direct", label: "From people" },
  { value: "timer", label: "Timers" },
  { value: "digest", label: "Digests" },
  { value: "alert", label: "Server alerts" },
  { value: "aggregate", label: "Summaries" },
  { value: "incident", label: "Incidents" },
  { value: "oncall", label: "On-call shifts" },
] as const;
type Kind = (typeof KINDS)[number]["value"];

interface MatrixProps {
  readonly channels: FullPreferences["channels"];
  readonly onChange: (channels: FullPreferences["channels"]) => void;
}

/** Which kinds are sent by which channels. */
export function ChannelMatrix({ channels, onChange }: MatrixProps) {
  const toggle = (kind: Kind, channel: Channel, isOn: boolean) => {
    const current = channels[kind] ?? ALL;
    const next = ALL.filter((each) => (each === channel ? isOn : current.includes(each)));
    const { [kind]: _, ...others } = channels;
    // A kind with all channels is left out: it then has later channels, too.
    onChange(next.length === ALL.length ? others : { ...channels, [kind]: next });
  };
  return (
    <table class="account-matrix">
      <thead>
        <tr>
          <th scope="col">Kind</th>
          {CHANNELS.map(({ value, label }) => (
            <th key={value} scope="col">
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {KINDS.map((kind) => (
          <tr key={kind.value}>
            <td>{kind.label}</td>
            {CHANNELS.map((channel) => (
              <td key={channel.value}>
                <Checkbox
                  checked={(channels[kind.value] ?? ALL).includes(channel.value)}
                  onChange={(isOn) => toggle(kind.value, channel.value, isOn)}
                  label={`${kind.label} by ${channel.label}`}
                  hideLabel
                />
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
