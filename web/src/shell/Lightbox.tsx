/** Pictures on screens of their own; the screens themselves are fetched when one is opened. */
export { PictureScreens as Lightbox } from "../pictures/PictureScreens";
export { showPictures, type Shown } from "../pictures/screens";
