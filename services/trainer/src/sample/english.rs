//! English sentences by label, in the grammar of [`super::grammar`].

use super::Phrases;

pub(super) const OPENERS: &[&str] = &[
    "",
    "",
    "Hello, ",
    "Hi there, ",
    "Hi team, ",
    "Good morning, ",
    "Dear support, ",
    "Hello, this is <name>. ",
    "Sorry to bother you, but ",
    "Quick message about order <order>: ",
    "I am a customer since {2019|2020|2021|2022|2023}. ",
];

pub(super) const CLOSERS: &[&str] = &[
    "",
    "",
    " Thanks, <name>",
    " {Thank you|Many thanks} in advance.",
    " Best regards, <name>",
    " {Please|Could you} {get back to me|reply} {soon|today|this week}.",
    " My order number is <order>.",
    " This is about the <product>.",
];

/// Sentences that carry personal data, usable under any label.
pub(super) const PERSONAL: &[&str] = &[
    " {You can reach me at|Write to me at|My e-mail is|Please answer to} <email>.",
    " {Call me on|My phone number is|You can ring me at} <phone>.",
    " {Contact me by mail|Answer me}: <email> or <phone>.",
    ", {write to|mail me at|please answer to} <email>.",
];

pub(super) const LABELS: &[(&str, Phrases)] = &[
    (
        "account",
        Phrases {
            cores: &[
                "I {forgot|lost|do not know} my {password|user name|login}{, what now?|, please help|.}",
                "I {cannot|can't|am not able to} {log in|sign in} to my {account|profile} {any more|since <day>|from my <device>}.",
                "the {password reset|verification|confirmation} {link|code|mail} {never arrives|has expired|does not reach me}.",
                "how do I {change|update} the {e-mail address|phone number|name|password} {on|of} my account?",
                "please {delete|close|deactivate} my {account|profile} {and all my data|for good|as soon as possible}.",
                "my account {was locked|is blocked|has been suspended} after {three|too many|several} {login attempts|wrong passwords}.",
                "somebody {else|unknown} {logged in to|is using|got into} my account {yesterday|on <day>|last night}.",
                "I {want|would like} to {turn on|switch off|set up} two-factor {login|authentication} for my {account|user}.",
                "can I {merge|join} my two {accounts|profiles|logins} into one?",
            ],
            extras: &[
                " {The login page says my user name is unknown.|It keeps asking for a new password.}",
                " {I still remember my old password.|I no longer have my old phone.}",
                " {The last login came from|I saw a login from} <ip>.",
                " {My user name is my mail address|The profile is under} <email>.",
                "",
            ],
        },
    ),
    (
        "billing",
        Phrases {
            cores: &[
                "{I paid|we paid} <amount> twice, {please check|can you check} the {payment|invoice|bill}.",
                "{why was I|I was|we were} {charged|billed} {twice|two times|<amount> too much} for {order <order>|the <product>|my subscription}.",
                "the {invoice|bill} {for|of} {<month>|order <order>} {shows|has} the wrong {amount|address|VAT number|total}.",
                "please {send|mail} me {the invoice|a copy of the invoice|a receipt} for {<month>|order <order>|my last payment}.",
                "my {card|payment|direct debit} was {declined|rejected|not accepted} when I {tried to pay|paid} <amount>.",
                "I {want|need} to {change|update} my {payment method|billing address|credit card|bank account for payments}.",
                "there is {an unknown|a strange|an unexpected} {charge|debit|fee} of <amount> on my {statement|card|account statement}.",
                "{do you offer|is there} a {discount|lower price|cheaper tariff} if I pay {yearly|for twelve months at once}?",
                "the {price|monthly fee} on my {bill|invoice} {went up|rose} to <amount> {without notice|since <month>}.",
            ],
            extras: &[
                " {The payment was made with card|You debited the card} <card>.",
                " {The direct debit came from|You took it from} <iban>.",
                " {I need it for my tax return.|Our accounting department is waiting for it.}",
                " {The invoice number is|It says invoice} <order>.",
                "",
            ],
        },
    ),
    (
        "complaint",
        Phrases {
            cores: &[
                "{terrible|awful|very bad} {service|support}, {I am angry|shame on you|never again}!",
                "I am {very|extremely|deeply} {unhappy|disappointed|dissatisfied} with {your service|the way I was treated|your staff}.",
                "your {agent|employee|colleague} on the {phone|hotline|chat} was {rude|impolite|unfriendly} {to me|and hung up}.",
                "{this is|that was} the {worst|poorest} {service|customer support|experience} I {ever had|have had in years}.",
                "nobody {answers|replies to} my {messages|calls|mails}, {this is unacceptable|it is a disgrace|I am fed up}.",
                "I {want|wish} to {file|make|submit} a {formal |}complaint about {your service|the shop in <city>|an employee}.",
                "I have {waited|been waiting} on {hold|the hotline} for {an hour|forty minutes|ages}, {that is outrageous|what a shame}.",
                "{you promised|I was promised} a call back {three times|twice}, and {nothing happened|nobody called}: {terrible|awful|shameful}.",
                "I will {tell everyone|write a bad review|leave for a competitor} because your {support|service} is {so bad|terrible|a joke}.",
            ],
            extras: &[
                " {I expect an apology.|I demand to speak with a manager.}",
                " {This is no way to treat customers.|Never again.}",
                " {It is the third time that I complain.|I am really angry.}",
                "",
            ],
        },
    ),
    (
        "delivery",
        Phrases {
            cores: &[
                "my {parcel|package|order|delivery} {never arrived|has not arrived|did not come|is late|is still not here}.",
                "{I am still waiting|we still wait} for {my parcel|my package|the delivery|the <product>}.",
                "where is my {parcel|package|order|<product>}? it {should have arrived|was due} {on <day>|yesterday|last week}.",
                "the {tracking|shipment} {number|page} {shows nothing|has not changed} since {<day>|last week}.",
                "the {courier|driver} {left|put} the {parcel|package} {at the wrong door|in the rain|with a neighbour I do not know}.",
                "please {send|ship|deliver} {order <order>|the <product>} to {another address|my office in <city>|my new address}.",
                "{how long|how many days} does {delivery|shipping} to <city> {take|last}?",
                "my {parcel|box|package} {arrived|was delivered} {without|missing} the <product>.",
                "can {the delivery|my parcel} come {on <day>|in the evening|a day later} instead?",
                "the {carrier|courier} says that my {parcel|shipment} is {lost|stuck in customs|at the depot in <city>}.",
            ],
            extras: &[
                " {I was at home all day.|Nobody rang the bell.}",
                " {The tracking number is|The shipment is} <order>.",
                " {I need it before <day>.|It was meant as a present.}",
                " {The driver may call me on} <phone>.",
                "",
            ],
        },
    ),
    (
        "praise",
        Phrases {
            cores: &[
                "{you are|your team is} {great|wonderful|the best}, {thank you|thanks}!",
                "{I just wanted to say|let me tell you}: {great|excellent|wonderful} {service|work|support}!",
                "the <product> is {fantastic|brilliant|perfect}, {I love it|we are delighted|it works beautifully}.",
                "{thank you so much|many thanks} to {<name>|your team|your colleague in <city>} for {the quick help|being so kind|solving it at once}.",
                "I am {very|really|completely} {happy|satisfied|pleased} with {your service|the <product>|my purchase}.",
                "{five stars|full marks|top} from me, {everything went smoothly|it could not be better|keep it up}!",
                "your {agent|colleague|team} was {so friendly|very helpful|incredibly patient} on the {phone|chat}.",
                "{best|nicest|friendliest} {shop|support|service} {ever|I know}, I will {recommend you|come back|tell my friends}.",
                "{what a|such a} {pleasant|lovely|great} {surprise|experience}: the <product> is even {better|nicer} than {described|I hoped}.",
            ],
            extras: &[
                " {Keep up the good work!|You made my day.}",
                " {I have recommended you to my friends.|I will gladly order again.}",
                " {Please pass on my thanks.|Well done!}",
                "",
            ],
        },
    ),
    (
        "refund",
        Phrases {
            cores: &[
                "please {refund|give back} {my money|the price} for {the <product>|order <order>}.",
                "I {want|would like|demand} {my money back|a refund|a full refund} for {order <order>|the <product>}.",
                "when will {I get my refund|the refund arrive|you return my money}? I {sent back|returned} the <product> {on <day>|two weeks ago}.",
                "how {do|can} I {return|send back} the <product>? it {does not fit|is not what I ordered|is not as described}.",
                "you {refunded|paid back} only <amount>, {the rest|another <amount>} is {missing|still open}.",
                "please {refund|return|reimburse} the <amount> {to my account|to my card|that I paid}.",
                "I {cancelled|withdrew from} order <order> and {still wait|am waiting} for {the refund|my money}.",
                "{is|would} a {refund|return} {possible|be possible} after {30|14|20} days?",
                "I {sent|shipped} the {wrong|broken|unwanted} <product> back and {need|ask for} {the money|reimbursement}.",
            ],
            extras: &[
                " {Please pay it to|My bank account is|Transfer the money to} <iban>.",
                " {I paid with card|It should go back to card} <card>.",
                " {The return label is attached.|I still have the receipt.}",
                " {I am within the return period.|The parcel is unopened.}",
                "",
            ],
        },
    ),
    (
        "technical",
        Phrases {
            cores: &[
                "the {app|software|program} {keeps crashing|does not start|is not working} {on my <device>|when I open it|today}.",
                "the {app|website|software} {crashes|freezes|hangs} {on my <device>|when I open it|after the update|every time}.",
                "I {get|see} {error|the error message} {404|500|E-17|0x80070005} when I {open the app|upload a file|press save}.",
                "the <product> {does not turn on|does not connect|stopped working} {since <day>|after the update|any more}.",
                "{how do I|how can I} {install|configure|set up} the {app|software|driver|printer} on my <device>?",
                "the {screen|display|battery|speaker} of my <product> {is broken|flickers|does not respond|gets hot}.",
                "your {API|server|website} {is down|is very slow|returns an error|times out} {today|since <day>|all the time}.",
                "the {connection|Wi-Fi|bluetooth} {drops|breaks off|fails} {every few minutes|on my <device>|with the <product>}.",
                "after the {latest|new} {update|version} the {sync|search|camera|export} {no longer works|is broken|is gone}.",
            ],
            extras: &[
                " {I have restarted it twice.|A reinstall did not help.}",
                " {My address is|The server at|It happens from} <ip>.",
                " {The log shows a timeout.|I can send you a screenshot.}",
                " {My system is up to date.|It worked last week.}",
                "",
            ],
        },
    ),
];
