// Keeps the state of an upload that the page does not see.

/** Shared by all uploads of a page: they use one connection, and each file is a topic. */
let refs = 0;
const newRef = () => `u${refs++}`;

/** The transfer state of one file, hidden from the page. */
export class Job {
  /** The entry's ref on the server, until `renew()` replaces it. */
  ref = newRef();
  /** True if the server was asked where the file goes. */
  asked = false;
  /** The server's answer: a token, or the fields of an external destination. */
  place = null;
  /** The last token, used to resume. */
  token;
  transfer = null;
  /** True if the last transfer has not ended on the server yet. */
  leaving = false;
  /** True if the page reported that an external upload is complete. */
  told = false;
  tries = 0;
  timer;

  take(place) {
    this.place = place;
    if (typeof place === "string") this.token = place;
  }

  /** Takes a new ref for the next attempt: the server may still have the old entry. */
  renew() {
    this.ref = newRef();
    this.asked = false;
    this.place = null;
    this.transfer = null;
    this.told = false;
  }
}
