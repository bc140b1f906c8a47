// What pages load. Each module enhances one thing; without any of them the pages can be read and used.
import "./live.js";
import "./keys.js";
import "./copy.js";
import "./news.js";
import "./chosen.js";
import "./times.js";
