// What an upload keeps of a file beside what the page sees.

/** All uploads of a page share its connection, and each file is a topic. */
let refs = 0;
const newRef = () => `u${refs++}`;

/** The way of one file to the server, which is not for the page. */
export class Job {
  /** Its name on the server, from one try to the next. */
  ref = newRef();
  /** The server has been asked where it goes. */
  asked = false;
  /** The answer: a token, or the fields of an external place. */
  place = null;
  /** The last token, to go on with. */
  token;
  transfer = null;
  /** The last transfer is not over on the server yet. */
  leaving = false;
  /** The page says that it is all there, elsewhere. */
  told = false;
  tries = 0;
  timer;

  take(place) {
    this.place = place;
    if (typeof place === "string") this.token = place;
  }

  /** Asks anew the next time, as another entry: the server may still have the old one. */
  renew() {
    this.ref = newRef();
    this.asked = false;
    this.place = null;
    this.transfer = null;
    this.told = false;
  }
}
