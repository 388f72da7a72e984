#include "engine/verify/sample_text.h"

const char verify_sample_text[] =
    "The ferry left at six. By the time the fog lifted, the island was a line of grey hills with one white house "
    "on the nearest of them, and the children had already counted eleven seals. \"Twelve,\" said the youngest, who "
    "was not sure of anything above nine. Nobody argued; there was bread and cheese, and the engine made talking "
    "hard work.\n\n"
    "At the landing stage an old man was mending nets. He looked up, as he did every morning, and asked what news "
    "there was from the town. There was none, or none that he would have called news: the price of coal had gone "
    "up by 4 per cent, the bridge would be closed until the 17th of March, and the mayor's dog had been found, "
    "asleep, in the library.\n\n"
    "for (int i = 0; i < 10; i++) { total += prices[i] * 1.07; }  // with tax\n\n"
    "Le vent se l\u00e8ve \u2014 il faut tenter de vivre. Gr\u00fc\u00dfe aus K\u00f6ln! \u041f\u0440\u0438\u0432\u0435\u0442, "
    "\u043c\u0438\u0440. \u4f60\u597d\uff0c\u4e16\u754c\u3002\n\n"
    "When they asked him what a harbour is for, he answered that it is a place where ships may be safe, but that "
    "ships were not built to lie in harbours. Then he laughed, because he had not been out of sight of the land "
    "for forty years, and went back to his nets.\n";
