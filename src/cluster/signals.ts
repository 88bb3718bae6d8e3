import type { Msg, NatsConnection } from "@nats-io/transport-node";
import type { SealedBox } from "../core/crypto/sealed-box.ts";

/** The way of messages between nodes, outside of the log. */
export interface NodeTransport {
  readonly nats: NatsConnection;
  /** Of the cluster. */
  readonly name: string;
  readonly box: SealedBox;
}

/** What each node says twice a second, outside of the log. */
export interface NodeBeat {
  readonly node: string;
  /** Random id of its process. */
  readonly run: string;
  /** When that began, in epoch ms by its clock in `at`. */
  readonly startedAt: number;
  /** The number of beats of this process before this one: an earlier one that comes later does not count. */
  readonly count: number;
  readonly isLeader: boolean;
  /** The leader does not serve yet, or ends its work: requests wait. */
  readonly isEnding: boolean;
  readonly term: number;
  /** Last message of the log that it has applied. */
  readonly sequence: number;
  /** Clock of the leader in that record, in epoch ms. */
  readonly recordAt: number;
  /** False: it follows only. */
  readonly mayLead: boolean;
  /** False: its disk has too little free space to lead. Absent: as nodes of earlier versions say. */
  readonly hasRoom?: boolean;
  /** URL under which other nodes reach it. */
  readonly advertise: string;
  /** Its clock, in epoch ms. */
  readonly at: number;
  readonly version: string;
  /**
   * How often within ten minutes it lost the leadership while its process was still running: its loop
   * was blocked, or it was cut off.
   */
  readonly fenced: number;
  readonly keys: NodeKeys;
}

/** What shows whether two nodes have the same secrets, and reveals nothing about them. */
export interface NodeKeys {
  /** Id of the key that encrypts what is stored. */
  readonly encryption: string;
  /** Of the secret of access tokens. */
  readonly tokens: string;
}

/** The way of beats between nodes; they may be lost. */
export interface Signals {
  send(beat: NodeBeat): void;
  /** Beats of this and of other nodes. @param onUnreadable called for a message that another secret has sealed */
  onBeat(listener: (beat: NodeBeat) => void, onUnreadable?: () => void): void;
}

const CONTEXT = "prism cluster beat";

/** Beats as messages of NATS, sealed: a server that is not trusted cannot name another leader. */
export function natsSignals(connection: NatsConnection, name: string, box: SealedBox): Signals {
  const subject = `prism.${name}.beat`;
  return {
    send(beat) {
      if (!connection.isClosed()) connection.publish(subject, box.seal(CONTEXT, Buffer.from(JSON.stringify(beat))));
    },
    onBeat(listener, onUnreadable) {
      listen(connection, subject, ({ data }) => {
        const beat = opened<NodeBeat>(box, CONTEXT, data);
        if (beat) listener(beat);
        else onUnreadable?.();
      });
    },
  };
}

const RETRY_MS = 1000;

/** A subscription that begins again when a server has ended it: the permission for it may come back. */
export function listen(connection: NatsConnection, subject: string, onMessage: (message: Msg) => void): void {
  connection.subscribe(subject, {
    callback(error, message) {
      if (!error) return onMessage(message);
      setTimeout(() => {
        if (!connection.isClosed()) listen(connection, subject, onMessage);
      }, RETRY_MS).unref();
    },
  });
}

/** @returns null for a message of another cluster, or of one with another secret */
export function opened<T>(box: SealedBox, context: string, bytes: Uint8Array): T | null {
  try {
    return JSON.parse(box.open(context, bytes).toString()) as T;
  } catch {
    return null;
  }
}
