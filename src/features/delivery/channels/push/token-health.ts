/** So many of a provider's last tokens are watched. */
const WATCHED = 50;

/**
 * How the last 50 tokens of a provider did, the newest word about each. Where more than half of them are bad, it is not the devices: the key belongs
 * to another project, or the app to the other environment.
 */
export class TokenHealth {
  /** By device, oldest word first. */
  readonly #isBad = new Map<string, boolean>();

  note(deviceId: string, isBad: boolean): void {
    this.#isBad.delete(deviceId);
    this.#isBad.set(deviceId, isBad);
    for (const oldest of this.#isBad.keys()) {
      if (this.#isBad.size <= WATCHED) break;
      this.#isBad.delete(oldest);
    }
  }

  get isDoubtful(): boolean {
    return this.bad.length > WATCHED / 2;
  }

  get bad(): readonly string[] {
    return [...this.#isBad].filter(([, isBad]) => isBad).map(([deviceId]) => deviceId);
  }
}
