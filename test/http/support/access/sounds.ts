import { may } from "./refusals.ts";
import { at, NO_ID, type Table } from "./row.ts";

const SOUND = `/api/v1/sounds/${NO_ID}`;

/** Contract 4.11. */
export const SOUNDS: Table = {
  "POST /api/v1/sounds": {
    refusal: may("sounds:write"),
    // Nothing is no sound.
    request: at("/api/v1/sounds"),
    served: [400, "VALIDATION_FAILED"],
  },
  "GET /api/v1/sounds": { refusal: may("sounds:read"), request: at("/api/v1/sounds") },
  "GET /api/v1/sounds/:id": { refusal: may("sounds:read"), request: at(SOUND), served: [404, "SOUND_NOT_FOUND"] },
  "DELETE /api/v1/sounds/:id": { refusal: may("sounds:write"), request: at(SOUND), served: [404, "SOUND_NOT_FOUND"] },
  "GET /media/sounds/:id": {
    isPublic: true,
    refusal: () => null,
    request: at(`/media/sounds/${NO_ID}?exp=1&sig=x`),
    served: [401, "SIGNATURE_INVALID"],
  },
};
