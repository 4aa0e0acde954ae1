//! The words that names, titles and chat are made of. All people and shows are invented.

pub(super) const FIRST_NAMES: &[&str] = &[
    "Ada", "Amara", "Andre", "Bea", "Caleb", "Camila", "Chidi", "Dana", "Diego", "Elif", "Emi",
    "Farah", "Felix", "Gia", "Hana", "Hugo", "Ines", "Isaac", "Jada", "Jonas", "Kai", "Keisha",
    "Lena", "Luca", "Mara", "Mateo", "Mina", "Nadia", "Noor", "Omar", "Paz", "Priya", "Quinn",
    "Rafa", "Rosa", "Sami", "Tariq", "Uma", "Vera", "Wes", "Yara", "Zane",
];

pub(super) const LAST_NAMES: &[&str] = &[
    "Abara", "Bell", "Castillo", "Dubois", "Eze", "Fischer", "Grant", "Haddad", "Ito", "Jensen",
    "Kaya", "Laurent", "Mbeki", "Novak", "Okafor", "Pereira", "Quispe", "Rossi", "Silva", "Tanaka",
    "Usman", "Vidal", "Walker", "Xu", "Yilmaz", "Zhou",
];

pub(super) const MOODS: &[&str] = &[
    "Midnight", "Golden", "Late", "Electric", "Slow", "Neon", "Sunday", "Velvet", "Loud", "Quiet",
    "Second", "Silver", "Open", "Deep", "Analog", "Borrowed", "Restless", "Coastal",
];

pub(super) const PLACES: &[&str] = &[
    "Hours",
    "Frequency",
    "Kitchen",
    "Garage",
    "Rooftop",
    "Crates",
    "Signal",
    "Tapes",
    "Session",
    "Corner",
    "Wire",
    "Lounge",
    "Mixtape",
    "Drive",
    "Basement",
    "Letters",
    "Booth",
    "Echo",
];

pub(super) const TOPICS: &[&str] = &[
    "first records",
    "one-hit wonders",
    "songs of the road",
    "the art of the sample",
    "your requests",
    "women of soul",
    "ten years of house",
    "covers that won",
    "listeners call in",
    "guilty pleasures",
    "music for rain",
    "the perfect encore",
    "lost B-sides",
    "new this week",
    "breakup songs",
    "a night in Lagos",
    "the bass player speaks",
    "summer anthems",
];

pub(super) const GENRES: &[&str] = &[
    "pop",
    "hip-hop",
    "talk",
    "electronic",
    "r&b",
    "rock",
    "latin",
    "country",
    "jazz",
    "afrobeats",
    "indie",
    "comedy",
];
pub(super) const GENRE_WEIGHTS: &[u64] = &[22, 20, 14, 10, 9, 8, 7, 4, 2, 2, 1, 1];

pub(super) const COUNTRIES: &[&str] = &["US", "CA", "GB", "MX", "NG", "BR", "DE", "FR", "JP", "AU"];
pub(super) const COUNTRY_WEIGHTS: &[u64] = &[58, 8, 9, 6, 4, 4, 3, 3, 2, 3];

pub(super) const LANGUAGES: &[&str] = &["en", "es", "pt", "fr"];
pub(super) const LANGUAGE_WEIGHTS: &[u64] = &[84, 10, 3, 3];

pub(super) const PLATFORMS: &[&str] = &["ios", "android", "web", "speaker"];
pub(super) const PLATFORM_WEIGHTS: &[u64] = &[50, 36, 9, 5];

pub(super) const REFERRERS: &[&str] = &["friend", "search", "social", "creator", "press"];

pub(super) const CHANNELS: &[&str] = &["push", "email", "home_banner", "social"];

pub(super) const MESSAGES: &[&str] = &[
    "this one!!",
    "love this song",
    "who is this?",
    "hello from work",
    "turn it up",
    "🔥🔥🔥",
    "can you play some jazz next?",
    "first time here",
    "been waiting all week for this",
    "what was the last track?",
    "sound is great tonight",
    "no way",
    "haha",
    "goosebumps",
    "greetings from the night shift",
    "my mum says hi",
    "play it again",
    "that drop 😮",
    "I saw them live in 2012",
    "can't stay long today",
    "❤️",
    "so good",
    "is this a remix?",
    "the bass though",
    "who else is driving?",
    "adding this to my list",
    "sound cuts out for me",
    "back again after a drop",
    "agreed",
    "never heard this version",
    "bonne soirée à tous",
    "¡qué temazo!",
    "10/10",
    "volume is a bit low?",
    "this took me back",
    "see you all tomorrow",
];

/// Questions of polls, each with its options.
pub(super) const POLLS: &[(&str, &[&str])] = &[
    ("What next?", &["Something slow", "Something loud", "Surprise us"]),
    ("Vinyl or streaming?", &["Vinyl", "Streaming"]),
    ("Which decade?", &["70s", "80s", "90s", "2000s"]),
    ("Play it again?", &["Yes", "No"]),
    ("Best opener tonight?", &["The first", "The second", "The third"]),
    ("Longer shows?", &["Yes, please", "Just right", "Shorter"]),
    ("Where are you listening?", &["At home", "At work", "On the move", "In bed"]),
    ("Guest next week?", &["A singer", "A producer", "A comedian"]),
];
